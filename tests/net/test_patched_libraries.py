"""Libraries that make their own sockets get what they ask real servers for, in `net.patched()`.

All of them run in one unprivileged program a stack, `patched_libraries`, whose results these tests
judge one by one.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from net import patched_libraries
from net.home_lab import HomeLab, home_lab
from net.library_servers import missing_programs, serve_libraries
from net.patched_libraries import LIBRARIES

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def lab() -> Iterator[HomeLab]:
    if missing := missing_programs():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"not installed: {missing}")
    with home_lab() as built:
        serve_libraries(built)
        yield built


@pytest.fixture(scope="module", params=["kernel", "userspace"])
def results(request: pytest.FixtureRequest, lab: HomeLab) -> dict[str, object]:
    program = Path(patched_libraries.__file__)
    done = lab.sh(f"{sys.executable} -X dev -W error {program} {request.param}", timeout=150)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, object] = {}
    for line in done.stdout.splitlines():
        found |= json.loads(line)
    return found


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_works_unmodified(results: dict[str, object], library: str) -> None:
    assert results[library] == LIBRARIES[library][1]

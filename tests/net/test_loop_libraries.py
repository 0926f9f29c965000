"""Libraries for asyncio, trio and anyio reach real servers through a tunnel, without glue.

Each row of the table in docs/reference/libraries.md is a test here, once a stack.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hosts import REPOSITORY
from net import loop_programs
from net.home_lab import HomeLab, home_lab
from net.library_servers import serve_redis
from net.loop_programs import ASYNCIO, TRIO
from net.loop_servers import serve_loop_libraries

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.timeout(120), pytest.mark.slow]

LIBRARIES = [*ASYNCIO, *TRIO]
PAGE = REPOSITORY / "docs/reference/libraries.md"


@pytest.fixture(scope="module")
def lab() -> Iterator[HomeLab]:
    if missing := [name for name in ("nginx", "redis-server") if shutil.which(name) is None]:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"not installed: {missing}")
    with home_lab() as built:
        built.serve_postgresql()
        serve_redis(built)
        serve_loop_libraries(built)
        yield built


@pytest.mark.parametrize("stack", ["kernel", "userspace"])
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_needs_no_glue(lab: HomeLab, library: str, stack: str) -> None:
    program = Path(loop_programs.__file__)
    done = lab.sh(f"{sys.executable} -W error {program} {shlex.quote(library)} {stack}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_page_has_a_row_for_each_library() -> None:
    rows = [
        line.split("|")[1].strip() for line in PAGE.read_text().splitlines() if "| yes |" in line
    ]
    assert rows == LIBRARIES

"""The fixtures for pytest, as a user's tests have them: in a process of its own, without root."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from hosts import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

PAGE: Final = REPOSITORY / "docs/how-to/tests-with-fixtures.md"
EXAMPLES: Final = re.findall(r"^## (.*?)$|^```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
COUNTS: Final = {"A plain test": 1, "asyncio": 2, "One pair for a whole session": 2,
                 "Which stack": 2, "Without pytest": 2}  # fmt: skip


def examples() -> list[tuple[str, str]]:
    """Return the heading and the code of each example of the page."""
    found, heading = [], ""
    for title, code in EXAMPLES:
        heading = title or heading
        if code:
            found.append((heading, code))
    return found


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "dev", "-m", "pytest", "-q", "-W", "error",
               "-p", "no:cacheprovider", "-p", "no:xdist", *arguments, str(folder)]  # fmt: skip
    # Under coverage or in debug mode, nothing of the outer pytest is to reach the inner one.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip


def passed(done: subprocess.CompletedProcess[str], outcome: str) -> bool:
    assert re.search(rf"^{outcome} in ", done.stdout, re.M), done.stdout + done.stderr
    return True


NOTHING = """
import sys

LOADED = set(sys.modules)  # this file is imported before the others

def test_a_suite_without_networks_does_not_load_them(wg_pair_factory, request):
    assert request.config.pluginmanager.has_plugin("holloway")
    assert "holloway.pytest_plugin" in LOADED
    assert not {"holloway.net", "holloway._native", "holloway.testing"} & LOADED
"""
SCOPES = """
import pytest

@pytest.fixture(scope="module")
def pair(wg_pair_factory):
    with wg_pair_factory() as opened:
        yield opened

seen = []

@pytest.mark.parametrize("number", range(3))
def test_a_pair_of_any_scope_lives_beside_others(pair, wg_pair, number):
    assert pair.client.ping("10.77.0.1", timeout=10) > 0
    assert wg_pair.server.ping("fd77::2", timeout=10) > 0
    seen.append(pair)
    assert all(each is pair for each in seen)
    assert wg_pair is not pair
"""


def test_every_example_of_the_page_passes(tmp_path: Path) -> None:
    """In one process, because its start is what takes long; what loads nothing comes first."""
    found = examples()
    assert set(COUNTS) == {heading for heading, _ in found}
    (tmp_path / "test_0.py").write_text(NOTHING)
    for number, (_, code) in enumerate(found, 1):
        (tmp_path / f"test_{number}.py").write_text(code)
    (tmp_path / "test_scopes.py").write_text(SCOPES)
    assert passed(run_pytest(tmp_path), f"{1 + sum(COUNTS.values()) + 3} passed")


STACK = """
def test_stack(wg_network, wg_pair_factory):
    print("stack", wg_network.stack)
    with wg_pair_factory() as (server, client):
        assert server.stack in {"kernel", "userspace"}
"""


@pytest.mark.parametrize("chosen", ["userspace", "both"])
def test_the_stack_is_chosen_by_an_option_or_the_ini_file(tmp_path: Path, chosen: str) -> None:
    (tmp_path / "test_stack.py").write_text(STACK)
    (tmp_path / "pytest.ini").write_text("[pytest]\nwg_stack = userspace\n")
    expected = ["kernel", "userspace"] if chosen == "both" else [chosen]
    arguments = [] if chosen == "userspace" else ["--wg-stack", chosen]
    done = run_pytest(tmp_path, "-s", *arguments)
    assert passed(done, f"{len(expected)} passed")
    assert re.findall(r"stack (\w+)", done.stdout) == expected


def test_a_wrong_stack_is_refused(tmp_path: Path) -> None:
    (tmp_path / "test_stack.py").write_text(STACK)
    done = run_pytest(tmp_path, "-o", "wg_stack=windows")
    assert "`windows' is not one of auto, kernel, userspace, both" in done.stdout + done.stderr

"""What all tests share: hypothesis profiles, what a missing right means, and the order of a run.

A test that needs root is skipped without it on a developer's machine and fails under CI, so that
a green run there means that it ran.

Several workers (pytest-xdist) run the tests: the tests of one file in one worker, for they share a
lab. A file marked `spread` makes its lab anew in every worker and is divided among them. What takes
long, marked `slow`, starts first, so that no worker is left alone with it at the end.
"""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import settings

settings.register_profile("default", deadline=None, max_examples=60)
settings.register_profile("ci", deadline=None, max_examples=60, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=2000)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "default")
)


def pytest_configure() -> None:
    """Let programs under test begin with SIGHUP's default action, under nohup too.

    An ignored signal is inherited, and a program leaves it ignored. A handled one is reset in every
    program that is started, and the run itself still survives its terminal.
    """
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda _number, _frame: None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("root") is None or os.geteuid() == 0:
        return
    if os.environ.get("CI"):
        pytest.fail("this test needs root, and under CI it must run", pytrace=False)
    pytest.skip("needs root: it makes network namespaces and TUN devices")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put slow tests first, and name the group that runs in one worker."""
    items.sort(key=lambda item: not (marked(item, "guest") or marked(item, "slow")))
    for item in items:
        if marked(item, "guest"):
            item.add_marker(pytest.mark.xdist_group("guest"))  # there is one virtual machine
        elif not marked(item, "spread"):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


def marked(item: pytest.Item, marker: str) -> bool:
    return item.get_closest_marker(marker) is not None

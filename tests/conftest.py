"""Settings of all tests: hypothesis profiles, the rule for missing privileges, and their order.

Without root, a test that needs root is skipped on a developer's machine and fails under CI, so that
a green run there means that it ran.

Several workers (pytest-xdist) run the tests. The tests of a file share a lab and run in one worker,
unless the file is marked `spread`: then each of its tests runs in any worker, and each worker
starts its own lab. `spread("device")` keeps together the tests with the same value of the parameter
`device`. Slow tests start first, so that no single one runs on at the end.

`leaks` searches all that programs print for secret keys.
"""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import settings

pytest_plugins = ["leaks"]

settings.register_profile("default", deadline=None, max_examples=60)
settings.register_profile("ci", deadline=None, max_examples=60, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=2000)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "default")
)


def pytest_configure() -> None:
    """Start programs under test with the default actions of SIGHUP and SIGINT.

    Under nohup, or in the background of a shell, one of them is ignored. Programs inherit an
    ignored signal, and leave it ignored. A handled one is reset in every started program; pytest
    itself still survives the end of its terminal.
    """
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda _number, _frame: None)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("root") is None or os.geteuid() == 0:
        return
    if os.environ.get("CI"):
        pytest.fail("this test needs root, and under CI it must run", pytrace=False)
    pytest.skip("needs root: it makes network namespaces and TUN devices")


@pytest.hookimpl(tryfirst=True)  # xdist, too, has such a hook, which reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put slow tests first, and set the group of tests that run in one worker."""
    items.sort(key=lambda item: not (marked(item, "guest") or marked(item, "slow")))
    for item in items:
        if (group := group_of(item)) is not None:
            item.add_marker(pytest.mark.xdist_group(group))


def group_of(item: pytest.Item) -> str | None:
    """Return the name of the group that runs in one worker, or None for any worker."""
    if marked(item, "guest"):
        return "guest"  # there is one virtual machine
    file = item.nodeid.partition("::")[0]
    spread = item.get_closest_marker("spread")
    if spread is None:
        return file
    if not spread.args:
        return None
    values = getattr(getattr(item, "callspec", None), "params", {})
    return "-".join([file, *(str(values.get(name)) for name in spread.args)])


def marked(item: pytest.Item, marker: str) -> bool:
    return item.get_closest_marker(marker) is not None

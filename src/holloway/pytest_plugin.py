"""Fixtures for pytest: two networks of the test's process, each the other's peer, without root.

pytest loads this module at its start wherever the package is installed, so it imports nothing else
of it before a test asks for a network.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holloway.net.blocking import BlockingNetwork
    from holloway.testing import Pair, pair

STACKS: Final = ("auto", "kernel", "userspace", "both")


class PairFactory(Protocol):
    """`holloway.testing.pair`; without a stack, that of `--wg-stack`."""

    def __call__(self, stack: str | None = None, **options: object) -> pair: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--wg-stack` and the ini option `wg_stack`."""
    group = parser.getgroup("holloway", "networks of Holloway")
    group.addoption(
        "--wg-stack",
        choices=STACKS,
        help="TCP/IP of the fixtures wg_pair and wg_network; `both` runs each test with each",
    )
    parser.addini("wg_stack", "default of --wg-stack", default="auto")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test with each stack for `both`, unless the test chooses by itself."""
    if "wg_stack" not in metafunc.fixturenames or _wanted(metafunc.config) != "both":
        return
    for mark in metafunc.definition.iter_markers("parametrize"):
        if "wg_stack" in str(mark.args[0]):
            return
    metafunc.parametrize("wg_stack", ["kernel", "userspace"])


@pytest.fixture
def wg_stack(pytestconfig: pytest.Config) -> str | None:
    """The stack of `wg_pair` and `wg_network`; parametrize it to choose another for a test."""
    return _stack(pytestconfig)


@pytest.fixture(scope="session")
def wg_pair_factory(pytestconfig: pytest.Config) -> PairFactory:
    """`holloway.testing.pair`, for fixtures of any scope.

    `with wg_pair_factory() as (server, client):` opens blocking networks, and `async with` those of
    asyncio, in the event loop of the test.
    """

    def make(stack: str | None = None, **options: object) -> pair:
        from holloway.testing import pair

        return pair(stack or _stack(pytestconfig), **options)

    return make


@pytest.fixture
def wg_pair(
    wg_pair_factory: PairFactory, wg_stack: str | None, pytestconfig: pytest.Config
) -> Iterator[Pair[BlockingNetwork]]:
    """Two open networks, `server` and `client`, each the other's peer, for plain code."""
    from holloway.net.errors import NoNamespace

    with contextlib.ExitStack() as block:
        try:
            opened = block.enter_context(wg_pair_factory(wg_stack))
        except NoNamespace as error:
            if _wanted(pytestconfig) != "both":
                raise
            pytest.skip(f"no kernel stack: {error.strerror}")
        yield opened


@pytest.fixture
def wg_network(wg_pair: Pair[BlockingNetwork]) -> BlockingNetwork:
    """`wg_pair.client`, for tests that need no more; the test may serve on `wg_pair.server`."""
    return wg_pair.client


def _wanted(config: pytest.Config) -> str:
    wanted: str = config.getoption("--wg-stack") or config.getini("wg_stack")
    if wanted not in STACKS:
        raise pytest.UsageError(f"wg_stack: `{wanted}' is not one of {', '.join(STACKS)}")
    return wanted


def _stack(config: pytest.Config) -> str | None:
    wanted = _wanted(config)
    return None if wanted in {"auto", "both"} else wanted

"""Connecting to several addresses: the order, the winner, and what the losers leave."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from holloway.net.happy_eyeballs import connect_any, interleaved

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from holloway.net.stack import Address

FOUR, SIX, OTHER = ("10.0.0.1", 1), ("fd00::1", 1), ("10.0.0.2", 1)


class Attempts:
    """Connects to some addresses, fails for others, and waits for the rest for ever."""

    def __init__(self) -> None:
        self.reachable: set[Address] = set()
        self.failing: dict[Address, OSError] = {}
        self.tried: list[Address] = []
        self.cancelled: list[Address] = []
        self.made: list[socket.socket] = []

    async def __call__(self, address: Address) -> socket.socket:
        self.tried.append(address)
        if address in self.failing:
            raise self.failing[address]
        if address not in self.reachable:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.append(address)
                raise
        self.made.append(socket.socket())
        return self.made[-1]


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(main())


def test_the_next_address_is_tried_when_one_fails() -> None:
    attempts = Attempts()
    attempts.failing = {FOUR: OSError("no")}
    attempts.reachable = {SIX, OTHER}

    async def main() -> None:
        with await connect_any([FOUR, SIX, OTHER], attempts):
            assert attempts.tried == [FOUR, SIX]

    run(main)


def test_the_next_address_is_tried_after_the_delay() -> None:
    attempts = Attempts()
    attempts.reachable = {SIX}

    async def main() -> None:
        with await connect_any([FOUR, SIX, OTHER], attempts, delay=0):
            await asyncio.sleep(0)
            assert FOUR in attempts.cancelled

    run(main)


def test_a_loser_is_closed() -> None:
    attempts = Attempts()
    attempts.reachable = {FOUR, SIX}

    async def both(address: Address) -> socket.socket:
        if address == FOUR:
            await asyncio.sleep(0)
        return await attempts(address)

    async def main() -> None:
        with await connect_any([FOUR, SIX], both, delay=0) as winner:
            for _ in range(3):
                await asyncio.sleep(0)
            assert [each for each in attempts.made if each.fileno() >= 0] == [winner]

    run(main)


def test_errors_that_agree_are_one() -> None:
    attempts = Attempts()
    attempts.failing = {FOUR: OSError(1, "no"), SIX: OSError(1, "no"), OTHER: OSError(2, "never")}

    async def main() -> None:
        with pytest.raises(OSError, match=r"^\[Errno 1\] no$"):
            await connect_any([FOUR, SIX], attempts)
        with pytest.raises(OSError, match=r"Multiple exceptions: \[Errno 1\] no, \[Errno 2\]"):
            await connect_any([FOUR, OTHER], attempts)
        with pytest.raises(ExceptionGroup) as raised:
            await connect_any([FOUR, OTHER], attempts, all_errors=True)
        assert len(raised.value.exceptions) == 2

    run(main)


def test_cancelling_ends_all_attempts() -> None:
    attempts = Attempts()

    async def main() -> None:
        task = asyncio.ensure_future(connect_any([FOUR, SIX], attempts, delay=0))
        while len(attempts.tried) < 2:  # noqa: ASYNC110  # in some turn of the loop
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert sorted(attempts.cancelled) == sorted([FOUR, SIX])

    run(main)


def test_families_alternate() -> None:
    assert interleaved([FOUR, OTHER, SIX], 1) == [FOUR, SIX, OTHER]
    assert interleaved([FOUR, OTHER, SIX], 2) == [FOUR, OTHER, SIX]
    assert interleaved([], 1) == []

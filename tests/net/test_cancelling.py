"""Cancelling what a network does, at any moment, leaves no descriptor behind."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any

import pytest

from net.pair import FIRST, descriptors, echo, network, new_key, pair
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from holloway import Network

    Operation = Callable[[Network], Coroutine[Any, Any, Any]]

MOMENTS = [0, 1, 2, 3, 4, 5, *(microseconds / 1e6 for microseconds in range(20, 1500, 40))]
"""Turns of the event loop, then seconds."""

OPERATIONS: dict[str, Operation] = {
    "connect": lambda net: net.connect(FIRST[0], 5000),
    "connect_datagrams": lambda net: net.connect(FIRST[0], 53, type=socket.SOCK_DGRAM),
    "open_connection": lambda net: net.open_connection(FIRST[0], 5000),
    "datagram_endpoint": lambda net: net.create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=(FIRST[0], 53)
    ),
    "listen": lambda net: net.listen(6000),
    "start_server": lambda net: net.start_server(echo, port=6000),
    "ping": lambda net: net.ping(FIRST[0]),
}


async def cancel(work: Coroutine[Any, Any, Any], moment: float) -> None:
    """Cancel it at that moment; if it is done by then, close its result."""
    task = asyncio.create_task(work)
    if moment >= 1 or moment == 0:
        for _ in range(int(moment)):
            await asyncio.sleep(0)
    else:
        await asyncio.sleep(moment)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        made = await task
        for each in made if isinstance(made, tuple) else (made,):
            if hasattr(each, "close"):
                each.close()


@pytest.mark.parametrize("what", OPERATIONS)
def test_a_cancelled_operation_leaks_no_descriptor(stack: str, what: str) -> None:
    async def run() -> None:
        async with pair(stack) as both:
            await both.first.start_server(echo, port=5000)
            before = descriptors()
            for moment in MOMENTS:
                await cancel(OPERATIONS[what](both.second), moment)
            assert await wait_until(lambda: descriptors() == before), (before, descriptors())

    asyncio.run(run())


def test_a_cancelled_accept_loses_no_connection(stack: str) -> None:
    async def run() -> None:
        async with pair(stack) as both:
            listener = await both.first.listen(5000)
            for moment in (0, 1, 2, 3, 0.001):
                await cancel(listener.accept(), moment)
            waiting = asyncio.create_task(listener.accept())
            connected = await both.second.connect(FIRST[0], 5000)
            accepted, address = await asyncio.wait_for(waiting, 20)
            assert address == connected.getsockname()
            accepted.close()
            connected.close()
            listener.close()

    asyncio.run(run())


def test_an_opening_that_is_cancelled_leaves_nothing(stack: str) -> None:
    async def attempt(moment: float) -> None:
        opened = network(1, new_key(), stack=stack)
        task = asyncio.create_task(opened.open())
        await asyncio.sleep(moment if moment < 1 else 0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await opened.close()

    async def run() -> None:
        before = descriptors()
        for moment in MOMENTS:
            await attempt(moment)
        assert descriptors() == before

    asyncio.run(run())

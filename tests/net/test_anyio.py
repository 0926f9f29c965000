"""anyio's streams and listeners on an explicit network, over asyncio and over trio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.abc
import pytest

from holloway.net.adapters.anyio import Stream, connect_tcp, create_tcp_listener
from net.pair import FIRST, SECOND
from net.test_trio import PORT, near

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from holloway.net.blocking import BlockingNetwork

    Run = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]

__all__ = ["near"]


@pytest.fixture(params=["asyncio", "trio"])
def run(request: pytest.FixtureRequest) -> Run:
    return lambda main: anyio.run(main, backend=request.param)


async def send_back(stream: Stream) -> None:
    async with stream:
        async for data in stream:
            await stream.send(data)


def test_streams(near: BlockingNetwork, run: Run) -> None:
    async def main() -> None:
        for host in FIRST:
            async with await connect_tcp(near, host, PORT) as stream:
                await stream.send(b"hello")
                assert await stream.receive() == b"hello"
                await stream.send_eof()
                with pytest.raises(anyio.EndOfStream):
                    await stream.receive()
                there = (host, PORT)
                assert stream.extra(anyio.abc.SocketAttribute.remote_address) == there
            with pytest.raises(anyio.ClosedResourceError):
                await stream.send(b"hello")

    run(main)


def test_listeners(near: BlockingNetwork, run: Run) -> None:
    async def main() -> None:
        async with await create_tcp_listener(near) as listener, anyio.create_task_group() as group:
            group.start_soon(listener.serve, send_back)
            port = listener.listeners[0].extra(anyio.abc.SocketAttribute.local_port)
            for host in SECOND:
                async with await connect_tcp(near, host, port) as stream:
                    await stream.send(b"hello")
                    assert await stream.receive() == b"hello"
            group.cancel_scope.cancel()

    run(main)


def test_errors(near: BlockingNetwork, run: Run) -> None:
    async def main() -> None:
        with pytest.raises(ConnectionRefusedError):
            await connect_tcp(near, FIRST[0], 81)
        with anyio.move_on_after(0) as scope:
            await connect_tcp(near, FIRST[0], PORT)
        assert scope.cancelled_caught

    run(main)

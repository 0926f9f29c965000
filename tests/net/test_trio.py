"""trio and anyio through a tunnel: their own functions within `through`, and the adapters'."""

from __future__ import annotations

import functools
import socket
from typing import TYPE_CHECKING, Any

import anyio
import anyio.abc
import httpx
import pytest
import trio

from holloway.net.adapters import trio as adapter
from holloway.net.blocking import BlockingNetwork
from net.blocking_pair import open_two
from net.pair import FIRST, SECOND, echo
from net.test_libraries import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

PORT = 7


@pytest.fixture(scope="module", params=["kernel", "userspace"])
def near(request: pytest.FixtureRequest) -> Iterator[BlockingNetwork]:
    """The second network of a pair whose first one echoes, and serves a page."""
    first, second = open_two(request.param)
    with first, second:
        first.run(first.network.start_server(echo, port=PORT))
        first.run(first.network.start_server(web, port=80))
        yield second


async def exchange(stream: trio.SocketStream) -> None:
    async with stream:
        await stream.send_all(b"hello")
        assert await stream.receive_some(5) == b"hello"
        await stream.send_eof()
        assert await stream.receive_some(5) == b""


async def send_back(stream: trio.SocketStream) -> None:
    async with stream:
        async for data in stream:
            await stream.send_all(data)


def within(near: BlockingNetwork, main: Callable[[], Awaitable[Any]]) -> None:
    """Run a program of trio whose connections go through the network."""

    async def run() -> None:
        with adapter.through(near):
            await main()

    trio.run(run)


@pytest.mark.parametrize("address", FIRST)
def test_streams(near: BlockingNetwork, address: str) -> None:
    async def main() -> None:
        stream = await trio.open_tcp_stream(address, PORT)
        assert stream.socket.getpeername()[:2] == (address, PORT)
        await exchange(stream)

    within(near, main)

    async def explicit() -> None:
        await exchange(await adapter.open_tcp_stream(near, address, PORT))

    trio.run(explicit)


def test_errors_are_those_of_the_network(near: BlockingNetwork) -> None:
    async def main() -> None:
        for connect in (trio.open_tcp_stream, functools.partial(adapter.open_tcp_stream, near)):
            with pytest.raises(OSError, match=r"Connection refused|attempts to connect"):
                await connect(FIRST[0], 81)
        with pytest.raises(OSError, match="Required key not available"):
            await adapter.open_tcp_stream(near, "192.0.2.1", 80)

    within(near, main)


def test_this_machine_is_outside(near: BlockingNetwork, tmp_path: Any) -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            serve = functools.partial(trio.serve_tcp, host="127.0.0.1")
            listeners = await nursery.start(serve, send_back, 0)
            here = listeners[0].socket.getsockname()
            await exchange(await trio.open_tcp_stream("localhost", here[1]))
            with socket.create_connection(here):
                pass
            nursery.cancel_scope.cancel()
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(tmp_path / "socket"))
            listening.listen()
            (await trio.open_unix_socket(tmp_path / "socket")).socket.close()

    within(near, main)


def test_listeners(near: BlockingNetwork) -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(trio.serve_tcp, send_back, 8080)
            for address in SECOND:
                await exchange(await trio.open_tcp_stream(address, 8080))
            listeners = await adapter.open_tcp_listeners(near)
            nursery.start_soon(trio.serve_listeners, send_back, listeners)
            port = listeners[0].socket.getsockname()[1]
            for address in SECOND:
                await exchange(await trio.open_tcp_stream(address, port))
            nursery.cancel_scope.cancel()

    within(near, main)


def test_datagrams(near: BlockingNetwork) -> None:
    async def main() -> None:
        with trio.socket.socket(type=socket.SOCK_DGRAM) as one:
            await one.bind((SECOND[0], 0))
            with trio.socket.socket(type=socket.SOCK_DGRAM) as two:
                await two.sendto(b"hello", one.getsockname())
                data, sender = await one.recvfrom(100)
                assert (data, sender[0]) == (b"hello", SECOND[0])

    within(near, main)


def test_a_cancelled_connection(near: BlockingNetwork) -> None:
    async def main() -> None:
        with trio.move_on_after(0) as scope:
            await trio.open_tcp_stream(FIRST[0], PORT)
        assert scope.cancelled_caught

    within(near, main)


def test_httpx(near: BlockingNetwork) -> None:
    async def main() -> None:
        async with httpx.AsyncClient(timeout=20, trust_env=False) as client:
            assert (await client.get(f"http://{FIRST[0]}/")).text.isdigit()

    within(near, main)


def test_anyio(near: BlockingNetwork) -> None:
    async def main() -> None:
        async with await anyio.connect_tcp(FIRST[0], PORT) as stream:
            await stream.send(b"hello")
            assert await stream.receive() == b"hello"
            assert stream.extra(anyio.abc.SocketAttribute.remote_address) == (FIRST[0], PORT)

    within(near, main)

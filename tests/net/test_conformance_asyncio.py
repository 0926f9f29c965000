"""What asyncio's functions and those of a `Network` do alike, in asyncio's loop and in uvloop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from net.pair import FIRST, SECOND, echo, pair
from net.sides import KINDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
Hosts = tuple[str, str]


class PlainSide:
    """asyncio's own functions, with the names of a `Network`."""

    start_server = staticmethod(asyncio.start_server)
    open_connection = staticmethod(asyncio.open_connection)

    async def create_datagram_endpoint(
        self, factory: Callable[[], Any], local_addr: Any = None, remote_addr: Any = None
    ) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.create_datagram_endpoint(factory, local_addr, remote_addr)

    def socket(self, family: int, kind: int) -> socket.socket:
        return socket.socket(family, kind)


@contextlib.asynccontextmanager
async def two_sides(kind: str) -> AsyncIterator[tuple[Any, Any, Hosts, Hosts]]:
    """Yield a server's side, a client's, and their addresses."""
    if kind == "plain":
        yield PlainSide(), PlainSide(), ("127.0.0.1", "::1"), ("127.0.0.1", "::1")
        return
    async with pair(kind) as both:
        await both.second.ping(FIRST[0])
        yield both.first, both.second, FIRST, SECOND


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Callable[[Awaitable[None]], None]:
    def run_in_loop(work: Any) -> None:
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            runner.run(asyncio.wait_for(work, 60))

    return run_in_loop


def addresses(server: Any) -> list[Any]:
    if isinstance(server, asyncio.Server) or not hasattr(server, "addresses"):
        return [sock.getsockname() for sock in server.sockets]
    return list(server.addresses)


class Received(asyncio.DatagramProtocol):
    """Keeps what comes, with its address."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[Any] = asyncio.Queue()
        self.lost: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.came.put_nowait((data, address))

    def error_received(self, error: Exception) -> None:
        self.came.put_nowait(error)

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set_result(error)


@pytest.mark.parametrize("number", [0, 1])
def test_a_transport_knows_both_addresses(kind: str, run: Any, number: int) -> None:
    async def work() -> None:
        async with two_sides(kind) as (server_side, client_side, hosts, own):
            seen: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                seen.set_result([writer.get_extra_info(name) for name in ("sockname", "peername")])
                await echo(reader, writer)

            server = await server_side.start_server(serve, hosts[number], 0)
            port = addresses(server)[0][1]
            reader, writer = await client_side.open_connection(hosts[number], port)
            there = writer.get_extra_info("peername")
            here = writer.get_extra_info("sockname")
            assert there == (hosts[number], port, 0, 0)[: 4 if number else 2]
            assert here[0] == own[number]
            assert await seen == [there, here]
            assert writer.get_extra_info("socket").getpeername() == there
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            writer.close()
            await writer.wait_closed()
            assert writer.get_extra_info("peername") == there
            server.close()
            await server.wait_closed()

    run(work())


@pytest.mark.parametrize("hosts_given", ["one", "list", "none", "empty", "name"])
def test_a_server_takes_hosts_as_asyncio_does(kind: str, run: Any, hosts_given: str) -> None:
    async def work() -> None:
        async with two_sides(kind) as (server_side, client_side, hosts, _):
            given: dict[str, Any] = {
                "one": hosts[0], "list": list(hosts), "none": None, "empty": "",
                "name": "localhost",
            }  # fmt: skip
            server = await server_side.start_server(echo, given[hosts_given], 0)
            is_own = hosts_given == "name"  # only this side reaches its own loopback address
            for address in addresses(server):
                is_v6 = len(address) == 4
                host = address[0] if is_own else hosts[is_v6]
                side = server_side if is_own else client_side
                reader, writer = await side.open_connection(host, address[1])
                writer.write(b"x")
                assert await reader.readexactly(1) == b"x"
                writer.close()
            lengths = {len(address) for address in addresses(server)}
            assert lengths == {2} if hosts_given == "one" else lengths >= {2}
            assert lengths == {2, 4} or hosts_given in {"one", "name"}
            server.close()
            await server.wait_closed()

    run(work())


@pytest.mark.parametrize("number", [0, 1])
def test_a_datagram_endpoint_answers_whom_it_heard(kind: str, run: Any, number: int) -> None:
    async def work() -> None:
        async with two_sides(kind) as (server_side, client_side, hosts, own):
            server, heard = await server_side.create_datagram_endpoint(
                Received, local_addr=(hosts[number], 0)
            )
            here = server.get_extra_info("sockname")
            client, answered = await client_side.create_datagram_endpoint(
                Received, remote_addr=here[:2]
            )
            assert client.get_extra_info("peername") == here
            assert server.get_extra_info("peername") is None
            client.sendto(b"question")
            data, address = await heard.came.get()
            assert (data, address) == (b"question", client.get_extra_info("sockname"))
            assert address[0] == own[number]
            server.sendto(b"answer", address)
            assert await answered.came.get() == (b"answer", here)
            for transport, protocol in ((client, answered), (server, heard)):
                transport.close()
                assert transport.is_closing()
                assert await protocol.lost is None

    run(work())


def test_an_unbound_endpoint_hears_all_addresses(kind: str, run: Any) -> None:
    async def work() -> None:
        async with two_sides(kind) as (server_side, client_side, hosts, _):
            server, heard = await server_side.create_datagram_endpoint(
                Received, local_addr=("0.0.0.0", 0)
            )
            port = server.get_extra_info("sockname")[1]
            client, _ = await client_side.create_datagram_endpoint(
                Received, ("0.0.0.0", 0), (hosts[0], port)
            )
            client.sendto(b"x")
            assert (await heard.came.get())[0] == b"x"
            client.abort()
            server.abort()

    run(work())


def test_an_error_of_a_datagram_is_reported(kind: str, run: Any) -> None:
    async def work() -> None:
        async with two_sides(kind) as (_, client_side, hosts, _):
            client, protocol = await client_side.create_datagram_endpoint(
                Received, remote_addr=(hosts[0], 9)
            )
            client.sendto(b"x")
            assert isinstance(await protocol.came.get(), ConnectionRefusedError)
            client.close()

    run(work())


def test_the_loops_calls_take_a_socket(kind: str, run: Any) -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        async with two_sides(kind) as (server_side, client_side, hosts, own):
            with (
                server_side.socket(socket.AF_INET, socket.SOCK_STREAM) as listener,
                client_side.socket(socket.AF_INET, socket.SOCK_STREAM) as made,
                client_side.socket(socket.AF_INET, socket.SOCK_STREAM) as refused,
            ):
                for sock in (listener, made, refused):
                    sock.setblocking(False)
                listener.bind((hosts[0], 0))
                listener.listen()
                accepting = asyncio.create_task(loop.sock_accept(listener))
                await loop.sock_connect(made, listener.getsockname())
                accepted, address = await accepting
                assert address[0] == own[0]
                with accepted:
                    await loop.sock_sendall(made, b"hello")
                    assert await loop.sock_recv(accepted, 100) == b"hello"
                with pytest.raises(OSError, match=r".+") as raised:
                    await loop.sock_connect(refused, (hosts[0], 9))
                assert raised.value.errno == errno.ECONNREFUSED

    run(work())


def test_asyncios_own_functions_take_a_socket(kind: str) -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        async with two_sides(kind) as (server_side, client_side, hosts, own):
            listener = server_side.socket(socket.AF_INET, socket.SOCK_STREAM)
            listener.bind((hosts[0], 0))
            server = await asyncio.start_server(echo, sock=listener)
            made = client_side.socket(socket.AF_INET, socket.SOCK_STREAM)
            made.setblocking(False)
            await loop.sock_connect(made, server.sockets[0].getsockname())
            reader, writer = await asyncio.open_connection(sock=made)
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            writer.close()
            server.close()
            await server.wait_closed()
            udp = server_side.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.bind((hosts[0], 0))
            transport, protocol = await loop.create_datagram_endpoint(Received, sock=udp)
            with client_side.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.sendto(b"x", udp.getsockname())
                data, address = await protocol.came.get()
                assert (data, address[0]) == (b"x", own[0])
            transport.close()

    asyncio.run(asyncio.wait_for(work(), 60))

"""Servers in the tunnel, as asyncio's: the same tests for both stacks and for asyncio itself."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import sys
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from holloway.net.stack import family_of
from net.certificate import certificate
from net.pair import FIRST, SECOND, echo, network, new_key, pair
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from holloway.net.server import Server
    from net.pair import Pair

LOOPBACK = ("127.0.0.1", "::1")


class Asyncio:
    """The functions of asyncio's under the names of a network's."""

    addresses = LOOPBACK
    start_server = staticmethod(asyncio.start_server)
    open_connection = staticmethod(asyncio.open_connection)

    async def create_server(self, *arguments: Any, **options: Any) -> Any:
        return await asyncio.get_running_loop().create_server(*arguments, **options)


KINDS = ["kernel", "userspace", *(["asyncio"] if sys.version_info >= (3, 13) else [])]
"""asyncio's own servers have all of this since Python 3.13."""


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@contextlib.asynccontextmanager
async def both(kind: str) -> AsyncIterator[tuple[Any, Any, tuple[str, str]]]:
    """Give a network for the server, one for the clients, and the server's addresses."""
    if kind == "asyncio":
        yield Asyncio(), Asyncio(), LOOPBACK
    else:
        async with pair(kind) as made:
            yield made.first, made.second, FIRST


def port_of(server: Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


def test_the_sockets_of_a_server_have_its_addresses(kind: str) -> None:
    async def run() -> None:
        async with both(kind) as (here, there, hosts):
            server = await here.start_server(echo, list(hosts), 5000)
            names = {each.family: each.getsockname() for each in server.sockets}
            assert names == {
                socket.AF_INET: (hosts[0], 5000),
                socket.AF_INET6: (hosts[1], 5000, 0, 0),
            }
            assert {each.type for each in server.sockets} == {socket.SOCK_STREAM}
            assert server.is_serving()
            for host in hosts:
                reader, writer = await there.open_connection(host, 5000)
                writer.write(b"hello")
                assert await reader.readexactly(5) == b"hello"
                writer.close()
            server.close()
            assert server.sockets == ()
            assert not server.is_serving()
            await server.wait_closed()

    asyncio.run(run())


def test_a_server_waits_for_its_clients(kind: str) -> None:
    async def run() -> None:
        async with both(kind) as (here, there, hosts):
            server = await here.start_server(echo, hosts[0], 0)
            reader, writer = await there.open_connection(hosts[0], port_of(server))
            writer.write(b"one")
            assert await reader.readexactly(3) == b"one"
            server.close()
            waiting = asyncio.create_task(server.wait_closed())
            writer.write(b"two")
            assert await reader.readexactly(3) == b"two"
            assert not waiting.done()
            writer.close()
            await asyncio.wait_for(waiting, 20)
            await server.wait_closed()

    asyncio.run(run())


@pytest.mark.parametrize("method", ["close_clients", "abort_clients"])
def test_a_server_ends_its_clients(kind: str, method: str) -> None:
    async def run() -> None:
        async with both(kind) as (here, there, hosts):
            ends: list[Exception | None] = []

            class Silent(asyncio.Protocol):
                def connection_made(self, transport: asyncio.BaseTransport) -> None:
                    assert isinstance(transport, asyncio.Transport)
                    transport.write(b"hello")

                def connection_lost(self, error: Exception | None) -> None:
                    ends.append(error)

            server = await here.create_server(Silent, hosts[1], 0)
            streams = [await there.open_connection(hosts[1], port_of(server)) for _ in range(3)]
            for reader, _ in streams:
                assert await reader.readexactly(5) == b"hello"
            server.close()
            getattr(server, method)()
            await asyncio.wait_for(server.wait_closed(), 20)
            assert ends == [None] * 3
            for reader, writer in streams:
                with contextlib.suppress(ConnectionError):
                    assert await asyncio.wait_for(reader.read(), 20) == b""
                writer.close()

    asyncio.run(run())


def test_leaving_the_block_of_a_server_closes_it(kind: str) -> None:
    async def run() -> None:
        async with both(kind) as (here, there, hosts):
            async with await here.start_server(echo, hosts[0], 0) as server:
                port = port_of(server)
                _, writer = await there.open_connection(hosts[0], port)
                writer.close()
            assert not server.is_serving()
            with pytest.raises(ConnectionRefusedError):
                await there.open_connection(hosts[0], port)

    asyncio.run(run())


def test_a_server_may_start_later(kind: str) -> None:
    async def run() -> None:
        async with both(kind) as (here, there, hosts):
            server = await here.start_server(echo, hosts[0], 0, start_serving=False)
            assert not server.is_serving()
            await server.start_serving()
            await server.start_serving()
            assert server.is_serving()
            reader, writer = await there.open_connection(hosts[0], port_of(server))
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            writer.close()
            server.close()

    asyncio.run(run())


@pytest.mark.parametrize("ended_by", ["cancel", "close"])
def test_serving_forever_ends_with_a_cancellation(kind: str, ended_by: str) -> None:
    async def run() -> None:
        async with both(kind) as (here, there, hosts):
            server = await here.start_server(echo, hosts[0], 0, start_serving=False)
            serving = asyncio.create_task(server.serve_forever())
            await asyncio.sleep(0)
            assert server.is_serving()
            with pytest.raises(RuntimeError, match="already being awaited"):
                await server.serve_forever()
            reader, writer = await there.open_connection(hosts[0], port_of(server))
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            if kind == "asyncio":
                writer.close()  # before 3.13.1 it does not end its clients
            getattr(serving if ended_by == "cancel" else server, ended_by)()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(serving, 20)
            assert not server.is_serving()
            with pytest.raises(RuntimeError, match="is closed"):
                await server.serve_forever()
            writer.close()

    asyncio.run(run())


def test_serving_forever_ends_with_its_network(stack: str) -> None:
    async def run() -> None:
        async with pair(stack) as made:
            server = await made.first.start_server(echo, port=5000)
            serving = asyncio.create_task(server.serve_forever())
            await asyncio.sleep(0)
            await made.first.close()
            with pytest.raises(OSError, match="the network is closed"):
                await asyncio.wait_for(serving, 20)
            await asyncio.wait_for(server.wait_closed(), 20)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"ssl": True}, TypeError, "ssl argument must be an SSLContext or None"),
        ({"ssl_handshake_timeout": 1}, ValueError, "ssl_handshake_timeout is only meaningful"),
        ({"ssl_shutdown_timeout": 1}, ValueError, "ssl_shutdown_timeout is only meaningful"),
    ],
)
def test_arguments_without_a_meaning_are_refused(
    kind: str, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    async def run() -> None:
        async with both(kind) as (here, _, hosts):
            with pytest.raises(error, match=message):
                await here.create_server(asyncio.Protocol, hosts[0], 0, **options)

    asyncio.run(run())


def test_a_client_that_never_begins_with_tls_is_dropped(kind: str, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path, "page.home"))

    async def run() -> None:
        async with both(kind) as (here, there, hosts):
            server = await here.start_server(
                echo, hosts[0], 0, ssl=context, ssl_handshake_timeout=0.05, ssl_shutdown_timeout=1
            )
            reader, writer = await there.open_connection(hosts[0], port_of(server))
            with contextlib.suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), 20) == b""
            writer.close()
            server.close()
            await asyncio.wait_for(server.wait_closed(), 20)

    asyncio.run(run())


def test_closing_clients_ends_a_handshake(stack: str, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path, "page.home"))

    async def run() -> None:
        async with pair(stack) as made:
            server = await made.first.start_server(echo, port=5000, ssl=context)
            _, writer = await made.second.open_connection(FIRST[0], 5000)
            assert await wait_until(lambda: bool(server._clients))
            server.close()
            server.close_clients()
            await asyncio.wait_for(server.wait_closed(), 20)
            writer.close()

    asyncio.run(run())


def test_tls_connections_are_clients_too(stack: str, tmp_path: Path) -> None:
    path = certificate(tmp_path, "page.home")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(path)
    asking = ssl.create_default_context(cafile=str(path))

    async def run() -> None:
        async with pair(stack) as made:
            server = await made.first.start_server(echo, port=5000, ssl=serving)
            reader, writer = await made.second.open_connection(
                FIRST[0],
                5000,
                ssl=asking,
                server_hostname="page.home",
                ssl_handshake_timeout=20,
                ssl_shutdown_timeout=20,
            )
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            server.close()
            waiting = asyncio.create_task(server.wait_closed())
            await asyncio.sleep(0)
            assert not waiting.done()
            server.close_clients()
            await asyncio.wait_for(waiting, 20)
            assert await asyncio.wait_for(reader.read(), 20) == b""
            writer.close()

    asyncio.run(run())


def test_uvloop_counts_the_clients_too(stack: str) -> None:
    async def run() -> None:
        async with pair(stack) as made:
            server = await made.first.start_server(echo, port=5000)
            reader, writer = await made.second.open_connection(FIRST[0], 5000)
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            server.close()
            waiting = asyncio.create_task(server.wait_closed())
            await asyncio.sleep(0)
            assert not waiting.done()
            server.abort_clients()
            await asyncio.wait_for(waiting, 20)
            writer.close()

    uvloop.run(run())


def test_a_name_may_be_listened_on(stack: str) -> None:
    """`two.hosts` has both addresses; the family chooses one."""

    async def run() -> None:
        async with pair(stack) as made:

            async def answer(host: str, *, family: int = 0) -> list[str]:
                assert host == "two.hosts"
                return [each for each in FIRST if family in {0, family_of(each)}]

            made.first.resolve = answer  # type: ignore[method-assign]
            server = await made.first.start_server(echo, "two.hosts", 5000)
            assert [address[0] for address in server.addresses] == list(FIRST)
            six = await made.first.start_server(
                echo, ["two.hosts", FIRST[1]], 5001, family=socket.AF_INET6
            )
            assert [address[:2] for address in six.addresses] == [(FIRST[1], 5001)]
            if stack == "kernel":
                local = await made.first.start_server(
                    echo, "localhost", 5003, family=socket.AF_INET
                )
                assert local.addresses == [("127.0.0.1", 5003)]
            with pytest.raises(socket.gaierror):
                await made.first.start_server(echo, FIRST[1], 5002, family=socket.AF_INET)

    asyncio.run(run())


def test_several_servers_share_a_port_of_the_kernels_stack() -> None:
    async def run() -> None:
        async with network(1, new_key(), stack="kernel") as opened:
            one = await opened.start_server(echo, port=5000, reuse_port=True)
            two = await opened.start_server(echo, port=5000, reuse_port=True)
            assert one.addresses == two.addresses
        async with network(1, new_key(), stack="userspace") as opened:
            with pytest.raises(ValueError, match="reuse_port is not supported"):
                await opened.start_server(echo, port=5000, reuse_port=True)

    asyncio.run(run())


def test_a_server_takes_a_socket_of_the_network() -> None:
    async def run() -> None:
        async with pair("kernel") as made:
            sock = made.first.socket()
            sock.bind((FIRST[0], 5000))
            with pytest.raises(ValueError, match="can not be specified at the same time"):
                await made.first.start_server(echo, port=5000, sock=sock)
            server = await made.first.start_server(echo, sock=sock)
            await answers(made, server)

    asyncio.run(run())


async def answers(made: Pair, server: Server) -> None:
    reader, writer = await made.second.open_connection(FIRST[0], server.port)
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    assert writer.get_extra_info("peername")[:2] == (FIRST[0], server.port)
    assert writer.get_extra_info("sockname")[0] == SECOND[0]
    writer.close()
    server.close()
    await asyncio.wait_for(server.wait_closed(), 20)


def test_a_server_shows_its_state() -> None:
    async def run() -> None:
        async with network(1, new_key(), stack="userspace") as opened:
            server = await opened.start_server(echo, FIRST[0], 5000, start_serving=False)
            assert repr(server) == "<Server not serving, ('10.7.0.1', 5000)>"
            await server.start_serving()
            assert repr(server) == "<Server serving, ('10.7.0.1', 5000)>"
            server.close()
            assert repr(server) == "<Server closed, ('10.7.0.1', 5000)>"
            assert repr(opened) == (
                "<Network holloway open, userspace stack, 0 peers, 10.7.0.1, fd07::1>"
            )
        assert repr(opened) == "<Network holloway closed, 0 peers, 10.7.0.1, fd07::1>"

    asyncio.run(run())

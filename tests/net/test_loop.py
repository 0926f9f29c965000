"""An event loop through a tunnel: what asyncio connects is inside, loopback stays outside."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

import holloway
from holloway import Endpoint
from holloway.net.blocking import BlockingNetwork
from hosts import eventually
from net.blocking_pair import open_two
from net.pair import FIRST, SECOND, descriptors, echo, network, new_key, peer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

Result = TypeVar("Result")
PORT = 7


class Echo(asyncio.DatagramProtocol):
    """Send every datagram back."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.transport.sendto(data, address)


class Receiver(asyncio.DatagramProtocol):
    """Keep the first datagram."""

    def __init__(self) -> None:
        self.received: asyncio.Future[tuple[bytes, Any]] = (
            asyncio.get_running_loop().create_future()
        )

    def datagram_received(self, data: bytes, address: Any) -> None:
        if not self.received.done():
            self.received.set_result((data, address))


@pytest.fixture(scope="module", params=["kernel", "userspace"])
def near(request: pytest.FixtureRequest) -> Iterator[BlockingNetwork]:
    """The second network of a pair whose first one echoes TCP and UDP, and tells who calls."""
    first, second = open_two(request.param)
    with first, second:
        first.run(first.network.start_server(echo, port=PORT))
        ports = [
            first.run(first.network.create_datagram_endpoint(Echo, (address, PORT)))[0]
            for address in FIRST
        ]
        yield second
        for transport in ports:
            first.run(_closed(transport))


async def _closed(transport: asyncio.BaseTransport) -> None:
    transport.close()


def run(near: BlockingNetwork, main: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    with asyncio.Runner(loop_factory=near.loop_factory()) as runner:
        return runner.run(main())


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("address", FIRST)
def test_streams(near: BlockingNetwork, address: str) -> None:
    async def main() -> None:
        reader, writer = await asyncio.open_connection(address, PORT)
        assert writer.get_extra_info("peername")[:2] == (address, PORT)
        own = writer.get_extra_info("sockname")[0]
        assert own == SECOND[FIRST.index(address)]
        await exchange(reader, writer)

    run(near, main)


def test_a_local_address_and_happy_eyeballs(near: BlockingNetwork) -> None:
    async def main() -> None:
        reader, writer = await asyncio.open_connection(
            FIRST[0], PORT, local_addr=(SECOND[0], 4321), happy_eyeballs_delay=0.25
        )
        assert writer.get_extra_info("sockname") == (SECOND[0], 4321)
        await exchange(reader, writer)

    run(near, main)


def test_errors_are_those_of_the_network(near: BlockingNetwork) -> None:
    async def main() -> None:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(FIRST[0], 81)
        for connect in (asyncio.open_connection, connect_by_hand):
            with pytest.raises(OSError, match="Required key not available"):
                await connect("192.0.2.1", 80)

    run(near, main)


async def connect_by_hand(host: str, port: int) -> None:
    """Connect as libraries do that make their sockets themselves."""
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, (host, port))
        await loop.sock_sendall(sock, b"hello")
        assert await loop.sock_recv(sock, 5) == b"hello"


def test_a_socket_made_outside_connects_inside(near: BlockingNetwork) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        await connect_by_hand(FIRST[0], PORT)
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        await loop.sock_connect(sock, (FIRST[0], PORT))
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        reader, writer = await asyncio.open_connection(sock=sock)
        assert writer.get_extra_info("peername") == (FIRST[0], PORT)
        await exchange(reader, writer)

    run(near, main)


def test_a_udp_socket_made_outside_goes_inside(near: BlockingNetwork) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        made = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        with made[0] as one, made[1] as two:
            for sock in made:
                sock.setblocking(False)
            await loop.sock_connect(one, (FIRST[0], PORT))
            await loop.sock_sendall(one, b"hello")
            assert await loop.sock_recv(one, 5) == b"hello"
            await loop.sock_sendto(two, b"hello", (FIRST[0], PORT))
            assert await loop.sock_recvfrom(two, 5) == (b"hello", (FIRST[0], PORT))

    if near.stack == "kernel":
        run(near, main)
    else:
        with pytest.raises(OSError, match=r"make this UDP socket inside, by net.socket\(\)"):
            run(near, main)


def test_a_socket_that_is_connected_outside_stays_there(near: BlockingNetwork) -> None:
    async def main() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        sock = socket.socket()
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        await exchange(*await asyncio.open_connection(sock=sock))
        server.close()

    run(near, main)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_this_machine_is_outside(near: BlockingNetwork, host: str) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
            _, writer = await asyncio.open_connection(host, port)
            listening.accept()[0].close()
            writer.close()
        server = await asyncio.start_server(echo, host, 0, family=socket.AF_INET)
        here = server.sockets[0].getsockname()
        with await asyncio.to_thread(socket.create_connection, here) as sock:
            sock.sendall(b"hello")
            assert await asyncio.to_thread(sock.recv, 5) == b"hello"
        server.close()
        transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
            Receiver, local_addr=(host, 0), family=socket.AF_INET
        )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"hello", transport.get_extra_info("sockname"))
            assert (await protocol.received)[0] == b"hello"
        transport.close()

    run(near, main)


def test_connected_datagrams(near: BlockingNetwork) -> None:
    async def main() -> None:
        for address in FIRST:
            transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
                Receiver, remote_addr=(address, PORT)
            )
            transport.sendto(b"hello")
            data, sender = await protocol.received
            assert (data, sender[:2]) == (b"hello", (address, PORT))
            transport.close()

    run(near, main)


@pytest.mark.parametrize("local", [("", 0), (SECOND[0], 0)])
def test_unconnected_datagrams(near: BlockingNetwork, local: tuple[str, int]) -> None:
    async def main() -> None:
        transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
            Receiver, local_addr=local
        )
        transport.sendto(b"hello", (FIRST[0], PORT))
        assert await protocol.received == (b"hello", (FIRST[0], PORT))
        transport.close()

    run(near, main)


def test_a_udp_port_made_outside_is_inside(near: BlockingNetwork) -> None:
    async def main() -> None:
        sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(("::", 0))
        transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
            Receiver, sock=sock
        )
        there = (f"::ffff:{FIRST[0]}", PORT, 0, 0)
        transport.sendto(b"hello", there)
        assert await protocol.received == (b"hello", there)
        transport.close()

    run(near, main)


def test_servers(near: BlockingNetwork) -> None:
    async def main() -> None:
        server = await asyncio.start_server(echo, port=0)
        port = server.sockets[0].getsockname()[1]
        for address in SECOND:
            await exchange(*await asyncio.open_connection(address, port))
        server.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(SECOND[0], port)

    run(near, main)


def test_servers_share_a_port_on_the_kernels_stack(near: BlockingNetwork) -> None:
    async def main() -> None:
        one = await asyncio.start_server(echo, port=0, reuse_port=True)
        port = one.sockets[0].getsockname()[1]
        two = await asyncio.start_server(echo, port=port, reuse_port=True)
        one.close()
        await exchange(*await asyncio.open_connection(SECOND[0], port))
        two.close()

    if near.stack == "kernel":
        run(near, main)
    else:
        with pytest.raises(ValueError, match="reuse_port is not supported"):
            run(near, main)


def test_names_of_the_system(near: BlockingNetwork) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        entry = (await loop.getaddrinfo(FIRST[0], "http", type=socket.SOCK_STREAM))[0]
        assert entry[4] == (FIRST[0], 80)
        assert await loop.getnameinfo((FIRST[0], 80), socket.NI_NUMERICSERV) == (FIRST[0], "80")
        with pytest.raises(socket.gaierror):
            await loop.getnameinfo((FIRST[0], 80), socket.NI_NAMEREQD)

    run(near, main)


def test_what_is_of_this_machine_works_as_ever(near: BlockingNetwork, tmp_path: Any) -> None:
    async def main() -> None:
        path = str(tmp_path / "socket")
        server = await asyncio.start_unix_server(echo, path)
        await exchange(*await asyncio.open_unix_connection(path))
        server.close()
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "print('hello')", stdout=asyncio.subprocess.PIPE
        )
        assert (await child.communicate())[0] == b"hello\n"
        got = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, got.set)
        signal.raise_signal(signal.SIGUSR1)
        await got.wait()

    run(near, main)


def test_a_cancelled_connection_leaves_nothing_open(near: BlockingNetwork) -> None:
    async def main() -> None:
        for turns in range(30):
            task = asyncio.ensure_future(asyncio.open_connection(FIRST[0], PORT))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                (await task)[1].close()
        await asyncio.sleep(0)

    before = descriptors()
    run(near, main)
    # The far side's connections, in this process as well, end a moment later.
    assert eventually(lambda: descriptors() <= before)


def test_a_closed_network_says_so(stack: str) -> None:
    key = new_key()
    net = BlockingNetwork(network(1, key, peer(new_key(), *SECOND), stack=stack))

    async def main() -> None:
        server = await asyncio.start_server(echo, port=0)
        transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
            Echo, local_addr=("", 0)
        )
        await asyncio.to_thread(net.close)
        with pytest.raises(OSError, match="the network is closed") as raised:
            await asyncio.open_connection(FIRST[0], PORT)
        assert raised.value.errno == errno.ENETDOWN
        server.close()
        await server.wait_closed()
        transport.close()
        assert protocol is not None

    run(net, main)


def test_a_udp_port_ends_with_its_network(stack: str) -> None:
    net = BlockingNetwork(network(2, new_key(), stack=stack))
    errors: list[Exception] = []

    class Port(asyncio.DatagramProtocol):
        def error_received(self, error: Exception) -> None:
            errors.append(error)

    async def main() -> None:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            Port, local_addr=("", 0)
        )
        await asyncio.to_thread(net.close)
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(errors) == 1
        transport.close()

    run(net, main)


def test_closing_a_network_ends_what_waits_in_the_loop(stack: str) -> None:
    silent = peer(new_key(), *FIRST, endpoint=Endpoint("127.0.0.1", 9))
    net = BlockingNetwork(network(2, new_key(), silent, stack=stack))

    async def main() -> None:
        waiting = asyncio.ensure_future(asyncio.open_connection(FIRST[0], PORT))
        await asyncio.sleep(0)
        await asyncio.to_thread(net.close)
        with pytest.raises(OSError, match=r"abort|Network is down|closed"):
            await waiting

    run(net, main)


CONFIG = "[Interface]\nPrivateKey = {}\nAddress = {}\n"


def test_run(stack: str) -> None:
    async def main() -> str:
        server = await asyncio.start_server(echo, port=PORT)
        await exchange(*await asyncio.open_connection(SECOND[0], PORT))
        server.close()
        return "done"

    config = CONFIG.format(new_key().base64, SECOND[0])
    assert holloway.run(main, config, stack=stack) == "done"
    key = holloway.Key.generate()
    assert holloway.run(main(), private_key=key, addresses=SECOND[0], stack=stack) == "done"
    with pytest.raises(holloway.ConfigError):
        holloway.run(main(), "[Interface]\n")

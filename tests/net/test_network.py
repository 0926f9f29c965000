"""Networks of one program, each the other's peer: what a program can do with them, and the errors.

Nothing here needs root; `test_unprivileged` runs these again as an unprivileged user.
"""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from holloway import ConfigError, DeviceUpdate, Endpoint, PeerUpdate
from net.pair import FIRST, SECOND, echo, network, new_key, pair, peer
from waiting import wait_until


@pytest.mark.parametrize("number", [0, 1])
def test_a_stream_carries_megabytes_unchanged(stack: str, number: int) -> None:
    async def run() -> None:
        async with pair(stack) as both:
            server = await both.first.start_server(echo, port=5000)
            reader, writer = await both.second.open_connection(FIRST[number], server.port)
            sent = os.urandom(8 << 20)
            writer.write(sent)
            assert await reader.readexactly(len(sent)) == sent
            writer.close()

    asyncio.run(run())


@pytest.mark.parametrize("number", [0, 1])
def test_the_end_of_one_direction_leaves_the_other_open(stack: str, number: int) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.read()
        writer.write(asked.upper())
        writer.close()

    async def run() -> None:
        async with pair(stack) as both:
            await both.first.start_server(answer, port=5000)
            reader, writer = await both.second.open_connection(FIRST[number], 5000)
            writer.write(b"question")
            writer.write_eof()
            assert await reader.read() == b"QUESTION"
            writer.close()

    asyncio.run(run())


@pytest.mark.parametrize("number", [0, 1])
def test_either_side_may_listen(stack: str, number: int) -> None:
    async def run() -> None:
        async with pair(stack) as both:
            await both.second.ping(FIRST[number])  # the first learns the endpoint
            server = await both.second.start_server(echo, SECOND[number], 5000)
            reader, writer = await both.first.open_connection(SECOND[number], 5000)
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            assert writer.get_extra_info("peername")[:2] == (SECOND[number], 5000)
            writer.close()
            server.close()
            await server.wait_closed()

    asyncio.run(run())


@pytest.mark.parametrize("number", [0, 1])
def test_datagrams_go_there_and_back(stack: str, number: int) -> None:
    class Echo(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast("asyncio.DatagramTransport", transport)

        def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
            self.transport.sendto(data, address)

    class Client(asyncio.DatagramProtocol):
        def __init__(self) -> None:
            self.came: asyncio.Queue[bytes] = asyncio.Queue()

        def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
            self.came.put_nowait(data)

    async def run() -> None:
        async with pair(stack) as both:
            there = (FIRST[number], 53)
            server, _ = await both.first.create_datagram_endpoint(Echo, local_addr=there)
            client, protocol = await both.second.create_datagram_endpoint(Client, remote_addr=there)
            # The userspace stack does not fragment.
            for size in (1, 1000, 9000 if stack == "kernel" else 1300):
                client.sendto(bytes(size))
                assert await asyncio.wait_for(protocol.came.get(), 20) == bytes(size)
            client.close()
            server.close()

    asyncio.run(run())


@pytest.mark.parametrize("number", [0, 1])
def test_a_ping_is_answered(stack: str, number: int) -> None:
    async def run() -> None:
        async with pair(stack) as both:
            assert await both.second.ping(FIRST[number]) > 0

    asyncio.run(run())


def test_the_device_shows_what_passed(stack: str) -> None:
    async def run() -> None:
        async with pair(stack) as both:
            assert both.second.device.peers[0].latest_handshake == 0
            await both.second.ping(FIRST[0])
            (shown,) = both.second.device.peers
            assert shown.latest_handshake > 0
            assert shown.rx_bytes > 0
            assert both.second.stack == stack
            assert both.second.stack_reason

    asyncio.run(run())


def test_the_ordinary_errors_are_raised(stack: str) -> None:
    async def run() -> None:
        async with pair(stack) as both:
            with pytest.raises(OSError, match="Destination address required") as no_endpoint:
                await both.first.connect(SECOND[1], 80)
            assert no_endpoint.value.errno == errno.EDESTADDRREQ
            with pytest.raises(OSError, match="Required key not available") as no_peer:
                await both.second.connect("10.9.0.1", 80)
            assert no_peer.value.errno == errno.ENOKEY
            with pytest.raises(ConnectionRefusedError):
                await both.second.connect(FIRST[0], 9)
            with pytest.raises(OSError, match="Required key not available"):
                await both.second.ping("fd08::1")

    asyncio.run(run())


def test_a_silent_peer_is_a_timeout(stack: str) -> None:
    async def run() -> None:
        async with pair(stack) as both:
            with pytest.raises(TimeoutError):
                await both.second.connect("10.8.0.1", 80, timeout=0.2)
            with pytest.raises(TimeoutError):
                await both.second.ping("10.8.0.1", timeout=0.2)

    asyncio.run(run())


def test_packets_from_addresses_that_a_peer_is_not_allowed_do_not_arrive(stack: str) -> None:
    """The first allows the peer another address only, so that its packets are dropped."""

    async def run() -> None:
        key, other = new_key(), new_key()
        first = network(1, key, peer(other, "10.7.0.9/32"), stack=stack)
        async with first:
            there = Endpoint("127.0.0.1", first.device.listen_port)
            second = network(2, other, peer(key, *FIRST, endpoint=there), stack=stack)
            async with second:
                with pytest.raises(TimeoutError):
                    await second.ping(FIRST[0], timeout=0.5)
                assert await wait_until(lambda: second.device.peers[0].latest_handshake > 0)
                with pytest.raises(TimeoutError):
                    await second.ping(FIRST[0], timeout=0.5)

    asyncio.run(run())


def test_peers_change_while_connections_live(stack: str) -> None:
    async def run() -> None:
        async with pair(stack) as both:
            await both.first.start_server(echo, port=5000)
            reader, writer = await both.second.open_connection(FIRST[0], 5000)
            extra = peer(new_key(), "10.9.0.0/16")
            both.second.set(DeviceUpdate(peers=(extra,)))
            with pytest.raises(OSError, match="Destination address required"):
                await both.second.connect("10.9.0.1", 80)
            removed = PeerUpdate(public_key=extra.public_key, remove=True)
            both.second.set(DeviceUpdate(peers=(removed,)))
            with pytest.raises(OSError, match="Required key not available"):
                await both.second.connect("10.9.0.1", 80)
            writer.write(b"still")
            assert await reader.readexactly(5) == b"still"
            writer.close()

    asyncio.run(run())


def test_closing_ends_every_stream_with_an_error(stack: str) -> None:
    async def run() -> None:
        async with pair(stack) as both:
            await both.first.start_server(echo, port=5000)
            streams = [await both.second.open_connection(host, 5000) for host in FIRST * 5]
            sock = await both.second.connect(FIRST[0], 5000)
            reading = [asyncio.create_task(reader.read()) for reader, _ in streams]
            loop = asyncio.get_running_loop()
            reading.append(asyncio.create_task(loop.sock_recv(sock, 1)))
            await asyncio.sleep(0)
            await both.second.close()
            ends = await asyncio.gather(*reading, return_exceptions=True)
            assert all(isinstance(end, ConnectionError) for end in ends), ends
            with pytest.raises(OSError, match="the network is closed"):
                await both.second.connect(FIRST[0], 5000)
            for _, writer in streams:
                writer.close()
            sock.close()

    asyncio.run(run())


def test_closing_resets_connections_on_the_other_side(stack: str) -> None:
    async def run() -> None:
        ended: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

        accepted = asyncio.Event()

        class Watch(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                accepted.set()

            def connection_lost(self, error: Exception | None) -> None:
                ended.set_result(error)

        async with pair(stack) as both:
            await both.first.create_server(Watch, port=5000)
            _, writer = await both.second.open_connection(FIRST[0], 5000)
            await asyncio.wait_for(accepted.wait(), 20)  # earlier, there is nothing to reset
            await both.second.close()
            assert isinstance(await asyncio.wait_for(ended, 20), ConnectionResetError)
            writer.close()

    asyncio.run(run())


def test_a_waiting_listener_ends_with_the_network(stack: str) -> None:
    async def run() -> None:
        async with pair(stack) as both:
            listener = await both.first.listen(5000)
            waiting = asyncio.create_task(listener.accept())
            await asyncio.sleep(0)
            await both.first.close()
            with pytest.raises(OSError, match=r".+"):
                await asyncio.wait_for(waiting, 20)
            listener.close()

    asyncio.run(run())


def test_a_closed_listener_ends_a_waiting_accept(stack: str) -> None:
    async def run() -> None:
        async with pair(stack) as both:
            listener = await both.first.listen(5000)
            waiting = asyncio.create_task(listener.accept())
            await asyncio.sleep(0)
            listener.close()
            with pytest.raises(OSError, match="closed"):
                await asyncio.wait_for(waiting, 20)

    asyncio.run(run())


def test_the_port_of_a_closed_listener_is_free_at_once(stack: str) -> None:
    async def run() -> None:
        async with network(1, new_key(), stack=stack) as opened:
            for _ in range(1000):
                listener = await opened.listen(5000)
                listener.close()

    asyncio.run(run())


def test_a_network_that_is_opened_again_at_once_shakes_hands_at_once(stack: str) -> None:
    async def run() -> None:
        keys = new_key(), new_key()
        async with network(1, keys[0], peer(keys[1], *SECOND), stack=stack) as first:
            there = Endpoint("127.0.0.1", first.device.listen_port)
            for _ in range(5):
                other = peer(keys[0], *FIRST, endpoint=there)
                async with network(2, keys[1], other, stack=stack) as second:
                    await second.ping(FIRST[0])
            assert first._running is not None
            discards = first._running.tunnel.discards()
            assert discards["initiation_flood"] == discards["replayed_initiation"] == 0

    asyncio.run(run())


def test_arguments_that_mean_nothing_are_named(stack: str) -> None:
    async def run() -> None:
        async with pair(stack) as both:
            net = both.second
            with pytest.raises(TypeError, match="host is a name or an address, not None"):
                await net.connect(None, 7)  # type: ignore[arg-type]
            with pytest.raises(TypeError, match="host is a name or an address, not None"):
                await net.ping(None)  # type: ignore[arg-type]
            with pytest.raises(ConfigError, match="port: 70000 is not from 0 to 65535"):
                await net.open_connection(FIRST[0], 70000)
            with pytest.raises(ConfigError, match="port: 70000 is not from 0 to 65535"):
                await net.listen(70000)
            with pytest.raises(ConfigError, match="port: 70000 is not from 0 to 65535"):
                await net.start_server(echo, port=70000)
            with pytest.raises(TypeError, match="remote_addr is a host and a port"):
                await net.create_datagram_endpoint(asyncio.DatagramProtocol, None, FIRST[0])  # type: ignore[arg-type]
            with pytest.raises(TypeError, match="local_addr is a host and a port"):
                await net.connect(FIRST[0], 7, local_addr=SECOND[0])  # type: ignore[arg-type]

    asyncio.run(run())


FULL = """
import asyncio, os, sys
sys.path.insert(0, {tests!r})
from net.pair import network, new_key

async def run():
    opened = network(1, new_key(), stack={stack!r})
    await opened.open()
    try:
        while True:
            os.dup(0)
    except OSError as error:
        print(error.strerror)
    await opened.close()
    print("closed")

asyncio.run(run())
"""


def test_a_network_closes_without_a_free_descriptor(stack: str) -> None:
    tests = str(Path(__file__).parent.parent)
    done = subprocess.run([sys.executable, "-c", FULL.format(tests=tests, stack=stack)],
                          capture_output=True, text=True, check=False, timeout=60)  # fmt: skip
    assert done.stdout.splitlines() == ["Too many open files", "closed"], done.stderr

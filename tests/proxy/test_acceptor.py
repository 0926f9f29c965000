"""Limits, many clients at once, forwards, and what a closed proxy leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct

import pytest

from holloway.proxy.networks import HostNetwork
from holloway.proxy.settings import ForwardPort, HttpPort, Login, Socks5Port
from proxy.proxy_harness import (
    LOOPBACK,
    EchoDatagrams,
    Inbox,
    exchange,
    read_all,
    run_proxy,
    serving,
    sockets,
    socks5_connect,
)
from waiting import wait_until

OPEN = Socks5Port(LOOPBACK)
LOGIN = Login("me", "pw")
CLOSED = Socks5Port(LOOPBACK, LOGIN)


def test_fifty_clients_at_once_are_all_served() -> None:
    async def run() -> None:
        async with serving() as port, run_proxy(OPEN) as harness:

            async def run_client(number: int) -> None:
                streams = await harness.open()
                assert await socks5_connect(streams, "127.0.0.1", port) == 0
                data = bytes((number,)) * 100_000
                assert await exchange(streams, data, len(data)) == data
                streams[1].close()

            await asyncio.gather(*(run_client(number) for number in range(50)))
            assert await harness.wait_ended(50) == {("socks5", "done"): 50}

    asyncio.run(run())


def test_a_silent_client_is_dropped() -> None:
    async def run() -> None:
        async with run_proxy(OPEN) as harness:
            harness.proxy.limits.request_timeouts.seconds = 0.05
            assert await read_all(await harness.open()) == b""
            assert await harness.wait_ended(1) == {("socks5", "gone"): 1}

    asyncio.run(run())


def test_a_client_that_sends_a_long_request_byte_by_byte_is_dropped() -> None:
    async def run() -> None:
        async with run_proxy(HttpPort(LOOPBACK)) as harness:
            reader, writer = await harness.open()
            with contextlib.suppress(ConnectionError):
                for _ in range(100_000):
                    writer.write(b"a")
                    await writer.drain()
                    if harness.proxy.connection_log.ended:
                        break
                    await asyncio.sleep(0)
            assert await harness.wait_ended(1) == {("http", "misunderstood"): 1}
            assert reader.at_eof() or writer.is_closing() or await wait_until(reader.at_eof)

    asyncio.run(run())


def test_an_accepted_client_has_no_timeout() -> None:
    async def run() -> None:
        async with serving() as port, run_proxy(OPEN) as harness:
            harness.proxy.limits.request_timeouts.seconds = 1.0
            streams = await harness.open()
            assert await socks5_connect(streams, "127.0.0.1", port) == 0
            assert await read_all(await harness.open()) == b""  # a later client that sends nothing
            assert await exchange(streams, b"late", 4) == b"late"
            streams[1].close()

    asyncio.run(run())


def test_the_oldest_of_too_many_silent_clients_is_dropped() -> None:
    async def run() -> None:
        async with serving() as port, run_proxy(OPEN) as harness:
            limit = 256
            silent = [await harness.open() for _ in range(limit)]
            assert await wait_until(lambda: len(harness.proxy.connection_log.open) == limit)
            streams = await harness.open()
            assert await socks5_connect(streams, "127.0.0.1", port) == 0
            assert await read_all(silent[0]) == b""
            assert await harness.wait_ended(1) == {("socks5", "dropped"): 1}
            for _, writer in [*silent, streams]:
                writer.close()

    asyncio.run(run())


def test_one_client_too_many_waits_until_another_leaves() -> None:
    async def run() -> None:
        async with serving() as port, run_proxy(OPEN, max_connections=2) as harness:
            inside = [await harness.open() for _ in range(2)]
            for streams in inside:
                assert await socks5_connect(streams, "127.0.0.1", port) == 0
            waiting = await harness.open()
            waiting[1].write(b"\x05\x01\x00")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(waiting[0].read(1), 0.05)
            inside[0][1].close()
            assert await asyncio.wait_for(waiting[0].read(2), 10) == b"\x05\x00"
            for _, writer in [*inside, waiting]:
                writer.close()

    asyncio.run(run())


def test_a_connection_reset_by_the_target_is_reset_to_the_client() -> None:
    async def breaks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()

    async def run() -> None:
        async with serving(breaks) as port, run_proxy(OPEN) as harness:
            streams = await harness.open()
            assert await socks5_connect(streams, "127.0.0.1", port) == 0
            with pytest.raises(ConnectionResetError):
                await read_all(streams, b"x")
            assert await harness.wait_ended(1) == {("socks5", "failed"): 1}

    asyncio.run(run())


def test_closing_resets_what_is_open_and_leaves_no_descriptor() -> None:
    async def run() -> None:
        before = sockets()
        async with serving() as port:
            async with run_proxy(OPEN, ForwardPort(LOOPBACK, ("127.0.0.1", port))) as harness:
                open_ = [await harness.open() for _ in range(3)]
                assert await socks5_connect(open_[0], "127.0.0.1", port) == 0
                await exchange(open_[1], b"\x05\x01\x00", 2)
            for reader, writer in open_:
                with contextlib.suppress(ConnectionResetError):
                    assert await reader.read() == b""
                writer.close()
                with contextlib.suppress(ConnectionResetError):
                    await writer.wait_closed()
        assert await wait_until(lambda: sockets() == before)

    asyncio.run(run())


@pytest.mark.parametrize("is_reverse", [False, True])
def test_a_forward_leads_to_its_target(is_reverse: bool) -> None:
    async def run() -> None:
        async with serving() as port:
            forward = ForwardPort(LOOPBACK, ("localhost", port), is_reverse=is_reverse)
            async with run_proxy(forward) as harness:
                streams = await harness.open()
                assert await exchange(streams, b"hello", 5) == b"hello"
                streams[1].close()
                await harness.wait_ended(1)

    asyncio.run(run())


def test_a_forward_to_a_closed_port_closes_and_is_logged() -> None:
    async def run() -> None:
        async with run_proxy(ForwardPort(LOOPBACK, ("127.0.0.1", 1))) as harness:
            assert await read_all(await harness.open()) == b""
            assert await harness.wait_ended(1) == {("forward", "unreachable"): 1}

    asyncio.run(run())


def test_a_port_that_is_taken_is_named() -> None:
    async def run() -> None:
        async with serving() as port:
            with pytest.raises(OSError, match=f"127.0.0.1:{port}"):
                async with run_proxy(Socks5Port(("127.0.0.1", port))):
                    pass

    asyncio.run(run())


def test_no_host_is_all_addresses_of_both_families() -> None:
    async def run() -> None:
        listeners = await HostNetwork().listen_on([], 0, backlog=1)
        assert {listener.address[0] for listener in listeners} == {"0.0.0.0", "::"}
        assert len({listener.address[1] for listener in listeners}) == 1
        for listener in listeners:
            listener.close()

    asyncio.run(run())


def test_a_udp_forward_has_a_flow_for_each_client_until_it_is_idle() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        echo_transport, server = await loop.create_datagram_endpoint(
            EchoDatagrams, local_addr=LOOPBACK
        )
        with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as trial:
            trial.bind(LOOPBACK)
            port = trial.getsockname()[1]
        target = echo_transport.get_extra_info("sockname")
        forward = ForwardPort(("127.0.0.1", port), target, is_udp=True, idle=1.0)
        async with run_proxy(forward):
            clients = [
                await loop.create_datagram_endpoint(Inbox, remote_addr=("127.0.0.1", port))
                for _ in range(3)
            ]
            before = sockets()
            for number, (transport, _) in enumerate(clients):
                for _ in range(2):
                    transport.sendto(b"%d" % number)
            for number, (_, inbox) in enumerate(clients):
                for _ in range(2):
                    answer = await asyncio.wait_for(inbox.received.get(), 10)
                    assert answer == b"echo %d" % number
            assert len(set(server.clients)) == 3
            assert await wait_until(lambda: sockets() == before)
            clients[0][0].sendto(b"again")
            await asyncio.wait_for(clients[0][1].received.get(), 10)
            assert len(set(server.clients)) == 4
            for transport, _ in clients:
                transport.close()
        echo_transport.close()

    asyncio.run(run())


def test_a_udp_forward_without_a_host_serves_both_families() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        echo_transport, _ = await loop.create_datagram_endpoint(EchoDatagrams, local_addr=LOOPBACK)
        target = echo_transport.get_extra_info("sockname")
        async with run_proxy() as harness:
            line, warning = await harness.proxy.open([ForwardPort(("", 0), target, is_udp=True)])
            assert warning.startswith("Warning: whoever reaches this host can use UDP [::]:")
            port = int(line.partition(" leads")[0].rpartition(":")[2])
            for host in ("127.0.0.1", "::1"):
                transport, inbox = await loop.create_datagram_endpoint(
                    Inbox, remote_addr=(host, port)
                )
                transport.sendto(b"hello")
                assert await asyncio.wait_for(inbox.received.get(), 10) == b"echo hello"
                transport.close()
        echo_transport.close()

    asyncio.run(run())


PIECES = [
    b"\x05\x01\x00",
    b"\x05\x02\x00\x02",
    b"\x01\x02me\x02pw",
    b"\x05\x01\x00\x01\x7f\0\0\x01\0\x01",
    b"\x05\x03\x00\x01\0\0\0\0\0\0",
    b"\x05\x01\x00\x05\x01\x00\x01\x7f\0\0\x01\0\x01",
    b"CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n",
    b"CONNECT 127.0.0.1:1 HTTP/1.1\r\n",
    b"GET http://127.0.0.1:1/",
    b" HTTP/1.1\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"\r\n",
    b"5\r\nhello\r\n",
]


def test_nonsense_of_all_kinds_is_refused_and_breaks_nothing() -> None:
    async def run() -> None:
        rng = random.Random(5)
        failures: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, about: failures.append(about))
        before = sockets()
        async with run_proxy(
            OPEN, CLOSED, HttpPort(LOOPBACK), HttpPort(LOOPBACK, LOGIN)
        ) as harness:

            async def run_client(number: int) -> None:
                reader, writer = await harness.open(acceptor=number % 4)
                for _ in range(rng.randrange(6)):
                    piece = rng.choice([*PIECES, rng.randbytes(rng.randrange(1, 40))])
                    writer.write(piece[: rng.randrange(1, 80)])
                    await asyncio.sleep(0)
                with contextlib.suppress(OSError):
                    writer.write_eof()
                with contextlib.suppress(OSError):
                    await asyncio.wait_for(reader.read(), 10)
                writer.close()

            for _ in range(10):
                await asyncio.gather(*(run_client(number) for number in range(40)))
            await harness.wait_ended(400)
            outcomes = {outcome for _, outcome in harness.proxy.connection_log.ended}
            assert {"misunderstood", "refused", "unreachable"} <= outcomes
        assert failures == []
        assert await wait_until(lambda: sockets() == before)

    asyncio.run(run())

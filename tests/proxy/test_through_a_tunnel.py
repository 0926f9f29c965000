"""A proxy between the host and a real tunnel: every service once, both families, both ways."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import os
from functools import partial
from typing import TYPE_CHECKING

import pytest

from holloway.proxy import socks5
from holloway.proxy.networks import HostNetwork
from holloway.proxy.proxy import Proxy
from holloway.proxy.settings import ForwardPort, HttpPort, Socks5Port
from holloway.proxy.socks5 import Datagram, Reply
from net.pair import FIRST, SECOND, echo, pair
from proxy.proxy_harness import (
    LOOPBACK,
    EchoDatagrams,
    Inbox,
    ProxyHarness,
    connect_request,
    exchange,
    read_all,
    serving,
    socks5_connect,
)
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from holloway import Network
    from holloway.proxy.connection_log import Connection
    from holloway.proxy.settings import Port


@contextlib.asynccontextmanager
async def between(stack: str, *ports: Port) -> AsyncIterator[tuple[ProxyHarness, Network]]:
    """Run a proxy into a tunnel; yields it, and the network at the other end."""
    async with pair(stack) as both:
        await both.second.ping(FIRST[0])  # the first learns the endpoint
        harness = ProxyHarness(Proxy(HostNetwork(), both.second))
        try:
            await harness.proxy.open(ports)
            yield harness, both.first
        finally:
            await harness.close()


@pytest.mark.parametrize("host", FIRST)
def test_socks5_reaches_the_other_end(stack: str, host: str) -> None:
    async def run() -> None:
        async with between(stack, Socks5Port(LOOPBACK)) as (harness, remote):
            await remote.start_server(echo, port=5000)
            streams = await harness.open()
            assert await socks5_connect(streams, host, 5000) == Reply.SUCCEEDED
            sent = os.urandom(4 << 20)
            assert await exchange(streams, sent, len(sent)) == sent
            streams[1].write_eof()
            assert await read_all(streams) == b""
            assert await harness.wait_ended(1) == {("socks5", "done"): 1}

    asyncio.run(run())


@pytest.mark.parametrize("host", FIRST)
def test_the_http_proxy_reaches_the_other_end(stack: str, host: str) -> None:
    async def run() -> None:
        async with between(stack, HttpPort(LOOPBACK)) as (harness, remote):
            await remote.start_server(echo, port=5000)
            name = f"[{host}]" if ":" in host else host
            streams = await harness.open()
            answer = await exchange(streams, f"CONNECT {name}:5000 HTTP/1.1\r\n\r\n".encode(), 39)
            assert answer == b"HTTP/1.1 200 Connection established\r\n\r\n"
            assert await exchange(streams, b"hello", 5) == b"hello"
            streams[1].close()

    asyncio.run(run())


def test_an_address_that_no_peer_has_is_reported_with_the_text_of_the_system(stack: str) -> None:
    async def run() -> None:
        async with between(stack, Socks5Port(LOOPBACK), HttpPort(LOOPBACK)) as (harness, _):
            assert await socks5_connect(await harness.open(), "10.99.0.1", 80) == (
                Reply.NETWORK_UNREACHABLE
            )
            streams = await harness.open(acceptor=1)
            answer = await read_all(streams, b"GET http://10.99.0.1/ HTTP/1.1\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 502 ")
            reason = f"10.99.0.1:80: {os.strerror(errno.ENOKEY)} (no peer has this address"
            assert reason.encode() in answer

    asyncio.run(run())


@pytest.mark.parametrize("name", ["a..b", ".", f"{'a' * 64}.home", "1.2.3.4.5", "fe80::1%nowhere"])
def test_a_name_that_no_host_can_have_is_answered(stack: str, name: str) -> None:
    async def run() -> None:
        failures: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, about: failures.append(about))
        async with between(stack, Socks5Port(LOOPBACK), HttpPort(LOOPBACK)) as (harness, _):
            streams = await harness.open()
            length = len(name).to_bytes()
            request = b"\x05\x01\x00\x05\x01\x00\x03" + length + name.encode() + b"\0\x50"
            answer = await read_all(streams, request)
            assert answer[:2] == b"\x05\x00"
            assert answer[3] in (Reply.FAILURE, Reply.NETWORK_UNREACHABLE)
            host = f"[{name}]" if ":" in name else name
            answer = await read_all(
                await harness.open(acceptor=1), f"GET http://{host}/ HTTP/1.1\r\n\r\n".encode()
            )
            assert answer.startswith((b"HTTP/1.1 502 ", b"HTTP/1.1 400 "))
            await harness.wait_ended(2)
        assert failures == []

    asyncio.run(run())


def test_a_refused_connection_is_refused(stack: str) -> None:
    async def run() -> None:
        async with between(stack, Socks5Port(LOOPBACK)) as (harness, _):
            assert await socks5_connect(await harness.open(), FIRST[0], 5001) == Reply.REFUSED

    asyncio.run(run())


def test_forwards_lead_in_and_out(stack: str) -> None:
    async def run() -> None:
        async with (
            serving() as port,
            between(
                stack,
                ForwardPort(LOOPBACK, (FIRST[0], 5000)),
                ForwardPort(("", 6000), ("localhost", port), is_reverse=True),
            ) as (harness, remote),
        ):
            await remote.start_server(echo, port=5000)
            streams = await harness.open()
            assert await exchange(streams, b"in", 2) == b"in"
            streams[1].close()
            for host in SECOND:
                streams = await remote.open_connection(host, 6000)
                assert await exchange(streams, b"out", 3) == b"out"
                streams[1].close()
            assert await harness.wait_ended(3) == {("forward", "done"): 1, ("reverse", "done"): 2}

    asyncio.run(run())


def test_a_peer_takes_at_most_half_of_the_places(stack: str) -> None:
    async def run() -> None:
        async with pair(stack) as both, serving() as port:
            await both.second.ping(FIRST[0])
            harness = ProxyHarness(Proxy(HostNetwork(), both.second, max_connections=16))
            reverse = ForwardPort((SECOND[0], 6000), ("127.0.0.1", port), is_reverse=True)
            await harness.proxy.open([reverse])
            clients = [await both.first.open_connection(SECOND[0], 6000) for _ in range(12)]
            assert await harness.wait_ended(4) == {("reverse", "refused"): 4}
            assert await exchange(clients[0], b"hello", 5) == b"hello"
            for _, writer in clients:
                writer.close()
            await harness.wait_ended(12)
            streams = await both.first.open_connection(SECOND[0], 6000)
            assert await exchange(streams, b"again", 5) == b"again"
            streams[1].close()
            await harness.close()

    asyncio.run(run())


def test_a_source_in_the_tunnel_is_what_a_peer_has_of_a_prefix(stack: str) -> None:
    async def run() -> None:
        async with pair(stack) as both:
            network = both.second
            assert network.source_of(FIRST[0]) != network.source_of("10.8.0.1")
            peer_and_prefix = network.source_of(FIRST[1])
            assert peer_and_prefix != network.source_of("fd07::9")  # no peer, the same prefix
            assert peer_and_prefix != network.source_of("fd08::1")
            await network.close()
            assert network.source_of(FIRST[1]) is not None

    asyncio.run(run())


def test_datagrams_of_socks5_reach_the_other_end(stack: str) -> None:
    async def run() -> None:
        async with between(stack, Socks5Port(LOOPBACK)) as (harness, remote):
            server, _ = await remote.create_datagram_endpoint(
                EchoDatagrams, local_addr=(FIRST[0], 5353)
            )
            reader, writer = await harness.open()
            request = b"\x05\x01\x00" + connect_request("0.0.0.0", 0, 3)
            answer = await exchange((reader, writer), request, 12)
            loop = asyncio.get_running_loop()
            transport, inbox = await loop.create_datagram_endpoint(
                Inbox, remote_addr=("127.0.0.1", int.from_bytes(answer[10:], "big"))
            )
            asked = Datagram(FIRST[0], 5353, b"hi")
            transport.sendto(socks5.write_datagram(asked))
            received = await asyncio.wait_for(inbox.received.get(), 10)
            answered = Datagram(FIRST[0], 5353, b"echo hi")
            assert socks5.read_datagram_untrusted(received) == answered
            for each in (transport, writer, server):
                each.close()

    asyncio.run(run())


@pytest.mark.parametrize("is_reverse", [False, True])
def test_datagrams_are_forwarded_in_and_out(stack: str, is_reverse: bool) -> None:
    async def run() -> None:
        async with between(stack) as (harness, remote):
            loop = asyncio.get_running_loop()
            server_side = HostNetwork() if is_reverse else remote
            host = "127.0.0.1" if is_reverse else FIRST[0]
            server, _ = await server_side.create_datagram_endpoint(
                EchoDatagrams, local_addr=(host, 0)
            )
            target = server.get_extra_info("sockname")[:2]
            bind = (SECOND[0], 5454) if is_reverse else LOOPBACK
            forward = ForwardPort(bind, target, is_reverse, is_udp=True, idle=60.0)
            [line] = await harness.proxy.open([forward])
            if is_reverse:
                client, inbox = await remote.create_datagram_endpoint(Inbox, remote_addr=bind)
            else:
                port = int(line.partition(" leads")[0].rpartition(":")[2])
                client, inbox = await loop.create_datagram_endpoint(
                    Inbox, remote_addr=("127.0.0.1", port)
                )
            client.sendto(b"hello")
            assert await asyncio.wait_for(inbox.received.get(), 10) == b"echo hello"
            client.close()
            server.close()

    asyncio.run(run())


def are_connecting(connections: Collection[Connection], number: int) -> bool:
    return len(connections) == number and all(each.target for each in connections)


def test_a_client_that_leaves_while_its_target_is_silent_is_not_counted_as_unreachable(
    stack: str, caplog: pytest.LogCaptureFixture
) -> None:
    silent = "10.8.0.1"  # allowed for the peer, which has no such address
    requests = [
        b"",
        f"CONNECT {silent}:80 HTTP/1.1\r\n\r\n".encode(),
        b"\x05\x01\x00" + connect_request(silent, 80),
    ]

    async def run() -> None:
        async with pair(stack) as both:
            harness = ProxyHarness(Proxy(HostNetwork(), both.second))
            await harness.proxy.open([ForwardPort(LOOPBACK, (silent, 80))])
            await harness.proxy.open([HttpPort(LOOPBACK), Socks5Port(LOOPBACK)])
            connections = harness.proxy.connection_log.open
            clients = itertools.product(enumerate(requests), (True, False))
            staying = []
            for number, ((acceptor, request), leaves) in enumerate(clients, 1):
                streams = _, writer = await harness.open(acceptor)
                writer.write(request)
                assert await wait_until(partial(are_connecting, connections, number))
                if leaves:
                    writer.close()
                    await writer.wait_closed()
                else:
                    staying.append(streams)
            await both.second.close()
            await asyncio.gather(*map(read_all, staying))
            ended = await harness.wait_ended(6)
            services = ("forward", "http", "socks5")
            assert ended == dict.fromkeys(itertools.product(services, ("gone", "unreachable")), 1)
            await harness.close()

    with caplog.at_level("INFO", "holloway.proxy"):
        asyncio.run(run())
    assert caplog.text.count(": gone: it left before the target was reached") == 3


def test_a_port_in_a_tunnel_that_ended_is_logged(
    stack: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        async with pair(stack) as both:
            harness = ProxyHarness(Proxy(HostNetwork(), both.second))
            reverse = ForwardPort((SECOND[0], 6000), ("localhost", 1), is_reverse=True)
            await harness.proxy.open([reverse])
            await both.second.close()
            with pytest.raises(OSError, match=r"closed|Invalid argument"):
                await harness.proxy.acceptors[0].closed
            await harness.close()

    asyncio.run(run())
    assert "10.7.0.2:6000 is served no more: " in caplog.text


def test_when_the_tunnel_ends_so_do_its_connections(stack: str) -> None:
    async def run() -> None:
        async with pair(stack) as both:
            harness = ProxyHarness(Proxy(HostNetwork(), both.second))
            await harness.proxy.open([Socks5Port(LOOPBACK)])
            await both.first.start_server(echo, port=5000)
            streams = await harness.open()
            assert await socks5_connect(streams, FIRST[0], 5000) == Reply.SUCCEEDED
            assert await exchange(streams, b"hello", 5) == b"hello"
            await both.second.close()
            with contextlib.suppress(ConnectionResetError):
                assert await read_all(streams) == b""
            assert await harness.wait_ended(1) == {("socks5", "failed"): 1}
            assert await socks5_connect(await harness.open(), FIRST[0], 5000) == Reply.FAILURE
            await harness.close()

    asyncio.run(run())

"""Who gets a place of a proxy when there are more clients than places: each port, each source."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holloway.proxy.by_source import BySource
from holloway.proxy.health import AliveCheck, Health
from holloway.proxy.limits import ConnectionLimits
from holloway.proxy.networks import HostNetwork
from holloway.proxy.settings import ForwardPort, HttpPort, Socks5Port
from holloway.proxy.socks5 import Datagram, Reply
from holloway.proxy.socks5 import write_datagram as datagram_to
from proxy.proxy_harness import (
    LOOPBACK,
    EchoDatagrams,
    Inbox,
    associate,
    read_all,
    run_proxy,
    serving,
    sockets,
    socks5_connect,
)
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Hashable

    from holloway import Network
    from proxy.proxy_harness import ProxyHarness

OPEN = Socks5Port(LOOPBACK)


async def serve_health(harness: ProxyHarness, tunnel: Network | None = None) -> int:
    """Serve the health page; returns the number of its acceptor."""
    service = Health(tunnel, harness.proxy.connection_log, AliveCheck(tunnel, (), 5.0))  # type: ignore[arg-type]
    limits = harness.proxy.health_limits
    await harness.proxy.serve(HostNetwork(), LOOPBACK, service, limits)
    return len(harness.proxy.acceptors) - 1


async def is_healthy(harness: ProxyHarness, acceptor: int) -> bool:
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    return (await read_all(await harness.open(acceptor), request)).endswith(b"\r\n\r\nok\n")


def test_idle_connections_of_one_port_leave_places_to_the_others() -> None:
    async def run() -> None:
        async with serving() as port:
            reverse = ForwardPort(LOOPBACK, ("127.0.0.1", port), is_reverse=True)
            async with run_proxy(reverse, OPEN, max_connections=16) as harness:
                health = await serve_health(harness)
                for _ in range(40):
                    await harness.open()
                log = harness.proxy.connection_log
                assert await wait_until(lambda: len(log.open) == 14)
                streams = await harness.open(acceptor=1)
                assert await socks5_connect(streams, "127.0.0.1", port) == Reply.SUCCEEDED
                assert await is_healthy(harness, health)

    asyncio.run(run())


def test_idle_connections_to_the_health_page_do_not_silence_it() -> None:
    async def run() -> None:
        async with run_proxy() as harness:
            health = await serve_health(harness)
            for _ in range(40):
                await harness.open(health)
            assert await is_healthy(harness, health)

    asyncio.run(run())


def test_a_flood_of_silent_clients_drops_no_client_of_another_port() -> None:
    async def run() -> None:
        async with serving() as port, run_proxy(HttpPort(LOOPBACK), OPEN) as harness:
            slow = await harness.open(acceptor=1)
            assert await wait_until(lambda: len(harness.proxy.connection_log.open) == 1)
            silent = [await harness.open() for _ in range(300)]
            assert await wait_until(lambda: len(harness.proxy.connection_log.ended) > 0)
            assert await socks5_connect(slow, "127.0.0.1", port) == Reply.SUCCEEDED
            assert await read_all(silent[0]) == b""
            assert await harness.wait_ended(45) == {("http", "dropped"): 45}

    asyncio.run(run())


def test_a_source_has_half_of_the_places_at_most() -> None:
    limits = ConnectionLimits(max_connections=16)
    first, second = (limits.add_listener(lambda host: host) for _ in range(2))

    def connect(source: Hashable) -> bool:
        if not first.try_acquire():
            return False
        if first.hold(source):
            return True
        first.release()
        return False

    assert [connect("a") for _ in range(20)].count(True) == 7
    assert connect("b")
    assert [connect(None) for _ in range(20)].count(True) == 6  # this host itself
    assert not connect("b")
    assert second.try_acquire()
    assert second.try_acquire()
    assert not second.try_acquire()


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 5))))
def test_items_are_counted_by_their_source(steps: list[tuple[bool, int, int]]) -> None:
    items: BySource[int] = BySource()
    expected: dict[int, list[int]] = {source: [] for source in range(4)}
    for is_added, source, item in steps:
        was_there = item in expected[source]
        if was_there:
            expected[source].remove(item)
        if is_added:
            items.add(source, item)
            expected[source].append(item)
        else:
            assert items.discard(source, item) == was_there
        assert len(items) == sum(map(len, expected.values()))
        if len(items):
            found, oldest = items.oldest()
            assert isinstance(found, int)
            assert len(expected[found]) == max(map(len, expected.values()))
            assert oldest == expected[found][0]


def test_associations_share_half_of_the_places() -> None:
    """Each of five takes as many targets as it can; connections and the others go on."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        server, _ = await loop.create_datagram_endpoint(EchoDatagrams, local_addr=LOOPBACK)
        port = server.get_extra_info("sockname")[1]
        async with serving() as web, run_proxy(OPEN, max_connections=32) as harness:
            clients = [await associate(await harness.open()) for _ in range(5)]
            before = len(sockets())
            for client in clients:
                for number in range(2, 100):
                    request = Datagram(f"127.0.0.{number}", port, b"")
                    client.transport.sendto(datagram_to(request))
                assert (await client.ask("127.0.0.1", port, b"hi")).payload == b"echo hi"
            assert await wait_until(lambda: len(sockets()) == before + 16)
            streams = await harness.open()
            assert await socks5_connect(streams, "127.0.0.1", web) == Reply.SUCCEEDED
            for client in clients:
                assert (await client.ask("127.0.0.1", port, b"hi")).payload == b"echo hi"
                client.transport.close()
        server.close()

    asyncio.run(run())


def test_an_idle_association_ends() -> None:
    async def run() -> None:
        async with run_proxy(OPEN) as harness:
            harness.proxy.flow_limits.association_timeout = 0.05
            streams = await harness.open()
            client = await associate(streams)
            assert await read_all(streams) == b""
            assert await harness.wait_ended(1) == {("socks5", "done"): 1}
            client.transport.close()

    asyncio.run(run())


def test_an_association_serves_only_the_port_that_the_client_named() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        server, echo = await loop.create_datagram_endpoint(EchoDatagrams, local_addr=LOOPBACK)
        host, target = server.get_extra_info("sockname")
        async with run_proxy(OPEN) as harness:
            transport, inbox = await loop.create_datagram_endpoint(Inbox, local_addr=LOOPBACK)
            named = transport.get_extra_info("sockname")[1]
            streams = await harness.open()
            client = await associate(streams, named)
            address = client.transport.get_extra_info("peername")
            client.transport.sendto(datagram_to(Datagram(host, target, b"from another port")))
            transport.sendto(datagram_to(Datagram(host, target, b"hi")), address)
            assert (await asyncio.wait_for(inbox.received.get(), 10)).endswith(b"echo hi")
            assert len(echo.clients) == 1
            for each in (transport, client.transport, server):
                each.close()

    asyncio.run(run())


SENDER = """
import os, socket, sys
os.setuid(65534)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    sender.bind(("127.0.0.1", 0))
    sender.sendto(bytes.fromhex(sys.argv[2]), ("127.0.0.1", int(sys.argv[1])))
    print("sent", flush=True)
    sys.stdin.read()
"""


@pytest.mark.root
def test_an_association_does_not_serve_another_user_of_this_host() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        server, echo = await loop.create_datagram_endpoint(EchoDatagrams, local_addr=LOOPBACK)
        host, target = server.get_extra_info("sockname")
        async with run_proxy(OPEN) as harness:
            client = await associate(await harness.open())
            port = client.transport.get_extra_info("peername")[1]
            stolen = datagram_to(Datagram(host, target, b"stolen")).hex()
            with subprocess.Popen(  # noqa: ASYNC220  # it starts at once
                [sys.executable, "-Ic", SENDER, str(port), stolen],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            ) as stranger:  # fmt: skip
                assert stranger.stdout is not None
                assert await asyncio.to_thread(stranger.stdout.readline) == b"sent\n"
                assert (await client.ask(host, target, b"mine")).payload == b"echo mine"
                assert len(echo.clients) == 1
                stranger.communicate()
            client.transport.close()
        server.close()

    asyncio.run(run())

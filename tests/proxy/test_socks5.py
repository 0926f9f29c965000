"""All kinds of SOCKS5 clients, and their answers."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from holloway.proxy import socks5
from holloway.proxy.settings import Login, Socks5Port
from holloway.proxy.socks5 import Datagram, Reply
from proxy.proxy_harness import (
    LOOPBACK,
    EchoDatagrams,
    associate,
    connect_request,
    exchange,
    read_all,
    run_proxy,
    serving,
    socks5_connect,
)
from waiting import wait_until

OPEN = Socks5Port(LOOPBACK)
CLOSED = Socks5Port(LOOPBACK, Login("me", "geheim"))


@pytest.mark.parametrize(
    ("server", "host"), [("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "localhost"), ("::1", "::1")]
)
def test_a_target_is_reached_by_name_and_by_number(server: str, host: str) -> None:
    async def run() -> None:
        async with serving(host=server) as port, run_proxy(OPEN) as harness:
            streams = await harness.open()
            assert await socks5_connect(streams, host, port) == Reply.SUCCEEDED
            assert await exchange(streams, b"hello", 5) == b"hello"
            streams[1].write_eof()
            assert await read_all(streams) == b""
            assert await harness.wait_ended(1) == {("socks5", "done"): 1}
            assert harness.proxy.connection_log.moved() == (5, 5)

    asyncio.run(run())


def test_a_client_that_sends_all_at_once_loses_nothing() -> None:
    async def run() -> None:
        async with serving() as port, run_proxy(OPEN) as harness:
            reader, writer = await harness.open()
            writer.write(b"\x05\x01\x00" + connect_request("127.0.0.1", port) + b"early")
            writer.write_eof()
            assert (await read_all((reader, writer)))[2 + 10 :] == b"early"
            await harness.wait_ended(1)

    asyncio.run(run())


def test_a_client_that_sends_byte_by_byte_is_understood() -> None:
    async def run() -> None:
        async with serving() as port, run_proxy(CLOSED) as harness:
            reader, writer = await harness.open()
            request = connect_request("localhost", port)
            for byte in b"\x05\x02\x00\x02\x01\x02me\x06geheim" + request + b"x":
                writer.write(bytes((byte,)))
                await writer.drain()
                await asyncio.sleep(0)
            writer.write_eof()
            answer = await read_all((reader, writer))
            assert (answer[:6], answer[-1:]) == (b"\x05\x02\x01\x00\x05\x00", b"x")

    asyncio.run(run())


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"\x05\x01\x00", b"\x05\xff"),
        (b"\x05\x01\x02\x01\x02me\x05wrong", b"\x05\x02\x01\x01"),
        (b"\x05\x01\x02\x01\x03you\x06geheim", b"\x05\x02\x01\x01"),
    ],
)
def test_without_the_password_a_client_is_refused(sent: bytes, answer: bytes) -> None:
    async def run() -> None:
        async with run_proxy(CLOSED) as harness:
            assert await read_all(await harness.open(), sent) == answer
            assert await harness.wait_ended(1) == {("socks5", "refused"): 1}

    asyncio.run(run())


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        (connect_request("127.0.0.1", 1), Reply.REFUSED),
        (connect_request("nobody.invalid", 80), Reply.FAILURE),
        (connect_request("a..b", 80), Reply.FAILURE),
        (connect_request(f"{'a' * 64}.home", 80), Reply.FAILURE),
        (connect_request("127.0.0.1", 80, command=2), Reply.COMMAND_UNKNOWN),
        (b"\x05\x01\x00\x09", Reply.ADDRESS_UNKNOWN),
    ],
)
def test_the_answer_has_the_reason_of_a_failure(request_: bytes, reply: Reply) -> None:
    async def run() -> None:
        async with run_proxy(OPEN) as harness:
            answer = await read_all(await harness.open(), b"\x05\x01\x00" + request_)
            assert answer == b"\x05\x00" + socks5.write_reply(reply)
            await harness.wait_ended(1)

    asyncio.run(run())


@pytest.mark.parametrize(
    "sent", [b"GET / HTTP/1.1\r\n\r\n", b"\x04\x01\0\x50\x7f\0\0\x01\0", b"\5"]
)
def test_other_protocols_and_incomplete_requests_get_no_answer(sent: bytes) -> None:
    async def run() -> None:
        async with run_proxy(OPEN) as harness:
            reader, writer = await harness.open()
            writer.write(sent)
            writer.write_eof()
            with contextlib.suppress(ConnectionError):
                assert await read_all((reader, writer)) == b""
            assert await harness.wait_ended(1) == {("socks5", "misunderstood"): 1}

    asyncio.run(run())


async def datagram_server() -> tuple[asyncio.DatagramTransport, EchoDatagrams, int]:
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
        EchoDatagrams, local_addr=LOOPBACK
    )
    return transport, server, transport.get_extra_info("sockname")[1]


def test_datagrams_go_to_many_targets_and_back() -> None:
    async def run() -> None:
        async with run_proxy(OPEN) as harness:
            reader, writer = await harness.open()
            client = await associate((reader, writer))
            for host in ("127.0.0.1", "localhost"):
                transport, server, port = await datagram_server()
                for _ in range(2):
                    answer = await client.ask(host, port, b"hi")
                    assert answer == Datagram("127.0.0.1", port, b"echo hi")
                assert len(set(server.clients)) == 1  # one port for one target
                transport.close()
            writer.close()
            client.transport.close()
            assert await harness.wait_ended(1) == {("socks5", "done"): 1}
            assert harness.proxy.connection_log.datagrams == {"sent": 4, "received": 4}

    asyncio.run(run())


def test_datagrams_of_other_clients_and_nonsense_are_dropped() -> None:
    async def run() -> None:
        async with run_proxy(OPEN) as harness:
            reader, writer = await harness.open()
            client = await associate((reader, writer))
            transport, server, port = await datagram_server()
            client.transport.sendto(b"nonsense")
            await client.ask("127.0.0.1", port, b"mine")
            address = client.transport.get_extra_info("peername")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                data = socks5.write_datagram(Datagram("127.0.0.1", port, b"theirs"))
                stranger.sendto(data, address)
            await client.ask("127.0.0.1", port, b"mine again")
            assert len(server.clients) == 2
            assert harness.proxy.connection_log.datagrams["misunderstood"] == 1
            for each in (transport, client.transport, writer):
                each.close()

    asyncio.run(run())


def test_an_association_ends_with_its_connection() -> None:
    async def run() -> None:
        async with run_proxy(OPEN) as harness:
            reader, writer = await harness.open()
            client = await associate((reader, writer))
            port = client.transport.get_extra_info("peername")[1]
            writer.close()
            await harness.wait_ended(1)
            assert await wait_until(lambda: _is_free(port))
            client.transport.close()

    asyncio.run(run())


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

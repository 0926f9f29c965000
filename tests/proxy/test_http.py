"""Clients of the HTTP proxy, and servers that record what reaches them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from typing import TYPE_CHECKING

import pytest

from holloway.proxy.settings import HttpPort, Login
from proxy.proxy_harness import LOOPBACK, exchange, read_all, run_proxy, serving
from waiting import wait_until

if TYPE_CHECKING:
    from holloway.proxy.connection_log import Connection
    from proxy.proxy_harness import ProxyHarness

OPEN = HttpPort(LOOPBACK)
CLOSED = HttpPort(LOOPBACK, Login("me", "geheim"))
PASSWORD = base64.b64encode(b"me:geheim").decode()


class Server:
    """Answers each request with 200, and records it; closes after one if `closes`."""

    def __init__(self) -> None:
        self.got = b""
        self.closes = True

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(EOFError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await self._body(reader, head.lower())
                self.got += head + body
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                await writer.drain()
                if self.closes:
                    return

    async def _body(self, reader: asyncio.StreamReader, head: bytes) -> bytes:
        if b"transfer-encoding: chunked" in head:
            return await reader.readuntil(b"\r\n0\r\n\r\n")
        _, has_length, value = head.partition(b"content-length: ")
        return await reader.readexactly(int(value.split()[0])) if has_length else b""


async def opened(harness: ProxyHarness) -> list[Connection]:
    """Wait for connections of the proxy, and return them."""
    connections = harness.proxy.connection_log.open
    assert await wait_until(lambda: bool(connections))
    return list(connections)


def test_connect_makes_a_tunnel() -> None:
    async def run() -> None:
        async with serving() as port, run_proxy(OPEN) as harness:
            streams = await harness.open()
            request = f"CONNECT localhost:{port} HTTP/1.1\r\nHost: x\r\n\r\nearly".encode()
            established = b"HTTP/1.1 200 Connection established\r\n\r\n"
            size = len(established) + 5
            assert await exchange(streams, request, size) == established + b"early"
            assert await exchange(streams, b"later", 5) == b"later"
            streams[1].write_eof()
            assert await read_all(streams) == b""
            assert await harness.wait_ended(1) == {("http", "done"): 1}

    asyncio.run(run())


def test_an_absolute_url_is_fetched_in_origin_form() -> None:
    async def run() -> None:
        server = Server()
        async with serving(server) as port, run_proxy(OPEN) as harness:
            request = (
                f"GET http://127.0.0.1:{port}/a?b HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n".encode()
            )
            answer = await read_all(await harness.open(), request)
            assert answer.endswith(b"\r\n\r\nok")
        assert (
            server.got
            == (
                f"GET /a?b HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nA: b\r\nConnection: close\r\n\r\n"
            ).encode()
        )

    asyncio.run(run())


@pytest.mark.parametrize(
    "fields_and_body",
    [
        b"Content-Length: 5\r\n\r\nhello",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"\r\n",
    ],
)
def test_a_next_request_never_reaches_the_first_ones_server(fields_and_body: bytes) -> None:
    async def run() -> None:
        server = Server()
        server.closes = False
        async with serving(server) as port, run_proxy(OPEN) as harness:
            reader, writer = await harness.open()
            line = f"POST http://127.0.0.1:{port}/ HTTP/1.1\r\n".encode()
            writer.write(line + fields_and_body)
            writer.write(b"GET http://elsewhere/ HTTP/1.1\r\nCookie: secret\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\nok")).startswith(b"HTTP/1.1 200 OK")
            writer.write(b"GET http://elsewhere/ HTTP/1.1\r\nCookie: secret\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.05)  # time for the request to arrive
            writer.close()
        assert server.got.endswith(fields_and_body.partition(b"\r\n\r\n")[2])
        assert b"elsewhere" not in server.got

    asyncio.run(run())


def test_a_large_chunked_upload_arrives_whole() -> None:
    async def run() -> None:
        server = Server()
        async with serving(server) as port, run_proxy(OPEN) as harness:
            head = (
                f"PUT http://127.0.0.1:{port}/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
                "Expect: 100-continue\r\n\r\n"
            ).encode()
            streams = await harness.open()
            goes_on = b"HTTP/1.1 100 Continue\r\n\r\n"
            assert await exchange(streams, head, len(goes_on)) == goes_on
            body = (
                b"".join(b"4000\r\n%s\r\n" % (bytes((n,)) * 0x4000) for n in range(3))
                + b"0\r\n\r\n"
            )
            assert (await read_all(streams, body)).startswith(b"HTTP/1.1 200 OK")
            assert server.got.endswith(body)
            assert b"Expect" not in server.got

    asyncio.run(run())


@pytest.mark.parametrize(
    "fields_and_body",
    [
        b"\r\n",
        b"Content-Length: 5\r\n\r\nhello",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ],
)
def test_all_that_reaches_the_server_is_counted(
    fields_and_body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> tuple[int, int]:
        server = Server()
        async with serving(server) as port, run_proxy(OPEN) as harness:
            streams = await harness.open()
            [connection] = await opened(harness)
            line = f"POST http://127.0.0.1:{port}/ HTTP/1.1\r\n".encode()
            answer = await read_all(streams, line + fields_and_body)
            await harness.wait_ended(1)
            assert harness.proxy.connection_log.moved() == (len(server.got), len(answer))
            assert connection.moved() == (len(server.got), len(answer))
            return len(server.got), len(answer)

    with caplog.at_level("INFO", "holloway.proxy"):
        sent, received = asyncio.run(run())
    assert f": done, {sent} B up, {received} B down, " in caplog.text


def test_an_upgraded_connection_works_both_ways() -> None:
    async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b"Upgrade: own" in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        writer.write((await reader.readexactly(5)).upper())
        writer.close()

    async def run() -> None:
        async with serving(upgrade) as port, run_proxy(OPEN) as harness:
            streams = await harness.open()
            request = f"GET http://127.0.0.1:{port}/ HTTP/1.1\r\nConnection: Upgrade\r\n"
            await exchange(streams, request.encode() + b"Upgrade: own\r\n\r\n", 36)
            assert await read_all(streams, b"hello") == b"HELLO"

    asyncio.run(run())


@pytest.mark.parametrize(
    "field", ["", "Proxy-Authorization: Basic eDp5\r\n", "Authorization: x\r\n"]
)
def test_without_the_password_a_client_is_asked_for_it(field: str) -> None:
    async def run() -> None:
        async with run_proxy(CLOSED) as harness:
            request = f"CONNECT localhost:1 HTTP/1.1\r\n{field}\r\n".encode()
            answer = await read_all(await harness.open(), request)
            assert answer.startswith(b"HTTP/1.1 407 ")
            assert b'\r\nProxy-Authenticate: Basic realm="holloway"' in answer
            assert await harness.wait_ended(1) == {("http", "refused"): 1}

    asyncio.run(run())


def test_with_the_password_a_client_is_served_and_the_server_does_not_get_it() -> None:
    async def run() -> None:
        server = Server()
        async with serving(server) as port, run_proxy(CLOSED) as harness:
            request = (
                f"GET http://127.0.0.1:{port}/ HTTP/1.1\r\n"
                f"Proxy-Authorization: Basic {PASSWORD}\r\n\r\n"
            ).encode()
            assert (await read_all(await harness.open(), request)).startswith(b"HTTP/1.1 200 OK")
            assert PASSWORD.encode() not in server.got

    asyncio.run(run())


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n", 502),
        (b"CONNECT nobody.invalid:80 HTTP/1.1\r\n\r\n", 502),
        (b"\x16\x03\x01\x02\x00\x01", 400),
    ],
)
def test_the_answer_has_the_reason_of_a_failure(request_: bytes, status: int) -> None:
    async def run() -> None:
        async with run_proxy(OPEN) as harness:
            answer = await read_all(await harness.open(), request_)
            assert answer.startswith(f"HTTP/1.1 {status} ".encode())
            assert b"\r\n\r\nholloway proxy: " in answer
            await harness.wait_ended(1)

    asyncio.run(run())


def test_a_refusal_reaches_a_client_that_is_still_sending() -> None:
    async def run() -> None:
        async with run_proxy(CLOSED) as harness:
            body = bytes(1 << 20)
            request = b"POST http://127.0.0.1:1/ HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body)
            answer = await read_all(await harness.open(), request + body)
            assert answer.startswith(b"HTTP/1.1 407 ")

    asyncio.run(run())

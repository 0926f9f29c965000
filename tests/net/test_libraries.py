"""The adapters for HTTP libraries and their errors: refusals, timeouts, TLS, proxies.

`test_recipes` has what they do without errors.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING

import aiohttp
import httpx
import pytest
import requests

from holloway import Endpoint
from holloway.net.adapters.aiohttp import Connector
from holloway.net.adapters.httpx import AsyncTransport, Transport
from holloway.net.adapters.requests import Adapter
from holloway.net.blocking import BlockingNetwork
from holloway.proxy.forwarded import Forwarded
from hosts import eventually
from net.certificate import certificate
from net.pair import FIRST, SECOND, network, new_key, pair, peer
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HERE = f"http://{FIRST[0]}"


async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer everything but `/never`, and close the connection after `/last`."""
    with contextlib.closing(writer), contextlib.suppress(EOFError, OSError):
        path = b""
        while path != b"/last":
            path = (await reader.readuntil(b"\r\n\r\n")).split()[1]
            if path == b"/never":
                await reader.read()
            port = b"%d" % writer.get_extra_info("peername")[1]
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(port), port))
            await writer.drain()


def ended(transport: AsyncTransport | Transport) -> bool:
    """Return whether the pool knows that the server has closed the connection."""
    return all(connection.has_expired() for connection in transport._pool.connections)


@pytest.fixture
def blocking(stack: str) -> Iterator[BlockingNetwork]:
    """The second network of a pair whose first one serves the page."""
    keys = new_key(), new_key()
    with BlockingNetwork(network(1, keys[0], peer(keys[1], *SECOND), stack=stack)) as first:
        first.run(first.network.start_server(web, port=80))
        there = Endpoint("127.0.0.1", first.device.listen_port)
        other = peer(keys[0], *FIRST, endpoint=there)
        with BlockingNetwork(network(2, keys[1], other, stack=stack)) as second:
            yield second


def test_httpx_keeps_connections_and_reports_errors(stack: str) -> None:
    async def run() -> None:
        async with pair(stack) as both:
            await both.first.start_server(web, port=80)
            transport = AsyncTransport(both.second)
            async with httpx.AsyncClient(transport=transport, timeout=20) as client:
                first = (await client.get(f"{HERE}/last")).text
                assert await wait_until(lambda: ended(transport))
                second = (await client.get(f"{HERE}/")).text
                assert first != second  # the closed connection was not used again
                assert (await client.get(f"{HERE}/")).text == second
                with pytest.raises(httpx.ConnectError, match="refused"):
                    await client.get(f"{HERE}:81/")
                with pytest.raises(httpx.ConnectError, match="Required key not available"):
                    await client.get("http://192.0.2.1/")
                with pytest.raises(httpx.ReadTimeout):
                    await client.get(f"{HERE}/never", timeout=0.1)

    asyncio.run(run())


def test_aiohttp_keeps_connections_and_reports_errors(stack: str) -> None:
    async def run() -> None:
        async with pair(stack) as both:
            await both.first.start_server(web, port=80)
            async with aiohttp.ClientSession(connector=Connector(both.second)) as session:
                async with session.get(HERE) as one, session.get(f"http://[{FIRST[1]}]/") as six:
                    first = await one.text()
                    assert await six.text() != first
                async with session.get(HERE) as again:
                    assert await again.text() == first
                with pytest.raises(aiohttp.ClientConnectorError, match="refused"):
                    await session.get(f"{HERE}:81/")
                limit = aiohttp.ClientTimeout(total=0.1)
                with pytest.raises(TimeoutError):
                    await session.get(f"{HERE}/never", timeout=limit)

    asyncio.run(run())


@pytest.mark.parametrize("library", ["httpx", "aiohttp"])
def test_a_certificate_is_checked(stack: str, library: str, tmp_path: Path) -> None:
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate(tmp_path, "page.home"))

    async def run() -> None:
        async with pair(stack) as both:
            await both.first.start_server(web, port=443, ssl=serving)
            address = f"https://{FIRST[0]}/"
            if library == "httpx":
                async with httpx.AsyncClient(transport=AsyncTransport(both.second)) as client:
                    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                        await client.get(address)
            else:
                async with aiohttp.ClientSession(connector=Connector(both.second)) as session:
                    with pytest.raises(aiohttp.ClientConnectorCertificateError):
                        await session.get(address)

    asyncio.run(run())


def test_httpx_without_asyncio(blocking: BlockingNetwork) -> None:
    transport = Transport(blocking)
    with httpx.Client(transport=transport, timeout=20) as client:
        first = client.get(f"{HERE}/last").text
        assert eventually(lambda: ended(transport))
        second = client.get(f"{HERE}/").text
        assert first != second == client.get(f"{HERE}/").text
        with pytest.raises(httpx.ConnectError, match="refused"):
            client.get(f"{HERE}:81/")
        with pytest.raises(httpx.ReadTimeout):
            client.get(f"{HERE}/never", timeout=0.1)


def test_requests_keeps_connections_and_reports_errors(blocking: BlockingNetwork) -> None:
    with requests.Session() as session:
        session.mount("http://", Adapter(blocking))
        first = session.get(HERE, timeout=20).text
        assert session.get(HERE, timeout=20).text == first
        with pytest.raises(requests.ConnectionError, match="refused"):
            session.get(f"{HERE}:81/", timeout=20)
        with pytest.raises(requests.ConnectionError, match="Required key not available"):
            session.get("http://192.0.2.1/", timeout=20)
        with pytest.raises(requests.ReadTimeout):
            session.get(f"{HERE}/never", timeout=0.1)


def test_a_proxy_of_the_environment_is_reached_through_the_tunnel(
    blocking: BlockingNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"{HERE}:80")
    with requests.Session() as session:
        session.mount("http://", Adapter(blocking))
        assert session.get("http://192.0.2.1/", timeout=20).text.isdigit()
    monkeypatch.setenv("http_proxy", "socks5://192.0.2.1:1080")
    with requests.Session() as session:
        session.mount("http://", Adapter(blocking))
        with pytest.raises(requests.exceptions.InvalidProxyURL):
            session.get(HERE, timeout=20)


def test_a_forwarded_port_is_open_as_long_as_its_block_runs(
    blocking: BlockingNetwork,
) -> None:
    with Forwarded(blocking, FIRST[0], 80) as (host, port):
        assert requests.get(f"http://{host}:{port}/last", timeout=20).text.isdigit()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://{host}:{port}/last", timeout=20)

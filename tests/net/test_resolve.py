"""Name resolution through the tunnel, with a name server at its other end."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from ipaddress import ip_address
from typing import cast

import pytest

from net.pair import FIRST, Pair, echo, pair

ZONE = {
    "nas.home": ["10.7.0.1", "fd07::1"],
    "many.home": [f"10.7.1.{number}" for number in range(1, 61)],
}
NAME_ERROR = 3
SERVER_FAILURE = 2


def answer(message: bytes, max_size: int) -> bytes:
    """Return the answer of a server with that zone, truncated to `max_size`."""
    labels, offset = [], 12
    while size := message[offset]:
        labels.append(message[offset + 1 : offset + 1 + size].decode())
        offset += 1 + size
    (kind,) = struct.unpack_from(">H", message, offset + 1)
    name = ".".join(labels).lower()
    addresses = [ip_address(text) for text in ZONE.get(name, ())]
    wanted = [each.packed for each in addresses if each.version == {1: 4, 28: 6}[kind]]
    records = [b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(w)) + w for w in wanted]
    body = message[12 : offset + 5]
    code = SERVER_FAILURE if name.startswith("broken") else 0 if name in ZONE else NAME_ERROR
    if 12 + len(body) + sum(map(len, records)) > max_size:
        return message[:2] + struct.pack(">HHHHH", 0x8380, 1, 0, 0, 0) + body
    header = struct.pack(">HHHHH", 0x8180 | code, 1, len(records), 0, 0)
    return message[:2] + header + body + b"".join(records)


class OverUdp(asyncio.DatagramProtocol):
    """Sends wrong answers first, as an attacker who guesses would."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        right = answer(data, 512)
        self.transport.sendto(bytes([right[0] ^ 1]) + right[1:], address)
        self.transport.sendto(b"junk", address)
        self.transport.sendto(right, address)


async def over_tcp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    size = int.from_bytes(await reader.readexactly(2), "big")
    response = answer(await reader.readexactly(size), 65535)
    writer.write(len(response).to_bytes(2, "big"))
    await writer.drain()
    await asyncio.sleep(0.01)
    writer.write(response)
    writer.close()


async def serve(both: Pair) -> asyncio.BaseTransport:
    transport, _ = await both.first.create_datagram_endpoint(OverUdp, local_addr=(FIRST[0], 53))
    await both.first.start_server(over_tcp, port=53)
    return transport


def test_names_are_looked_up_through_the_tunnel(stack: str) -> None:
    async def run() -> None:
        async with pair(stack, dns=[FIRST[0], "home"]) as both:
            transport = await serve(both)
            net = both.second
            assert await net.resolve("nas.home") == ["10.7.0.1", "fd07::1"]
            assert await net.resolve("NAS.home.") == ["10.7.0.1", "fd07::1"]
            assert await net.resolve("nas") == ["10.7.0.1", "fd07::1"]
            assert await net.resolve("nas.home", family=socket.AF_INET6) == ["fd07::1"]
            assert await net.resolve("many.home") == ZONE["many.home"]
            assert await net.resolve("192.0.2.1") == ["192.0.2.1"]
            with pytest.raises(socket.gaierror, match="not known") as unknown:
                await net.resolve("nobody.home")
            assert unknown.value.errno == socket.EAI_NONAME
            with pytest.raises(socket.gaierror, match="Temporary failure"):
                await net.resolve("broken.home.")
            with pytest.raises(socket.gaierror, match="not a name"):
                await net.resolve("a..b")
            transport.close()

    asyncio.run(run())


def test_a_connection_to_a_name_tries_its_addresses(stack: str) -> None:
    """The server listens on the second address of the name only."""

    async def run() -> None:
        async with pair(stack, dns=[FIRST[0]]) as both:
            transport = await serve(both)
            await both.first.start_server(echo, FIRST[1], 5000)
            reader, writer = await both.second.open_connection("nas.home", 5000)
            writer.write(b"by name")
            assert await reader.readexactly(7) == b"by name"
            writer.close()
            with pytest.raises(ConnectionRefusedError):
                await both.second.open_connection("nas.home", 9)
            transport.close()

    asyncio.run(run())


def test_a_name_server_that_no_peer_has_is_named(stack: str) -> None:
    async def run() -> None:
        async with pair(stack, dns=["10.9.0.1"]) as both:
            with pytest.raises(OSError, match="Required key not available") as refused:
                await both.second.resolve("nas.home")
            assert refused.value.errno == errno.ENOKEY

    asyncio.run(run())


def test_localhost_and_names_below_it_are_known_without_name_servers(stack: str) -> None:
    async def run() -> None:
        async with pair(stack) as both:
            for name in ("localhost", "LOCALHOST.", "nas.localhost"):
                assert "127.0.0.1" in await both.second.resolve(name)

    asyncio.run(run())


@pytest.mark.parametrize("dns", [[], [FIRST[0]]], ids=["of the system", "of the tunnel"])
@pytest.mark.parametrize("name", ["a..b", ".", "..", f"{'a' * 64}.home", f"{'ä' * 60}.home"])
def test_a_name_that_no_host_can_have_is_unknown(dns: list[str], name: str) -> None:
    """Python's codec for names raises UnicodeError for most of them."""

    async def run() -> None:
        async with pair(dns=dns) as both:
            transport = await serve(both)
            with pytest.raises(socket.gaierror) as unknown:
                await both.second.resolve(name)
            assert unknown.value.errno == socket.EAI_NONAME
            transport.close()

    asyncio.run(run())

"""A proxy between two networks that are both this host, and clients that write raw bytes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from holloway.proxy import socks5
from holloway.proxy.networks import HostNetwork
from holloway.proxy.proxy import Proxy
from holloway.proxy.socks5 import Datagram
from net.pair import echo
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from holloway.proxy.address import Address
    from holloway.proxy.settings import Port

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

LOOPBACK = ("127.0.0.1", 0)


@dataclass
class ProxyHarness:
    """A proxy and its clients."""

    proxy: Proxy
    clients: list[asyncio.StreamWriter] = field(default_factory=list)

    async def open(self, acceptor: int = 0) -> Streams:
        """Connect to an acceptor."""
        port = self.proxy.acceptors[acceptor].listener.address[1]
        streams = await asyncio.open_connection("127.0.0.1", port)
        self.clients.append(streams[1])
        return streams

    async def close(self) -> None:
        """Close the clients and the proxy."""
        for client in self.clients:
            client.close()
        await self.proxy.close()

    async def wait_ended(self, count: int) -> dict[tuple[str, str], int]:
        """Wait until so many connections have ended, and return their outcomes."""
        ended = self.proxy.connection_log.ended
        assert await wait_until(lambda: sum(ended.values()) >= count), ended
        return dict(ended)


@contextlib.asynccontextmanager
async def run_proxy(*ports: Port, **limits: int) -> AsyncIterator[ProxyHarness]:
    harness = ProxyHarness(Proxy(HostNetwork(), HostNetwork(), **limits))
    try:
        await harness.proxy.open(ports)
        yield harness
    finally:
        await harness.close()


@contextlib.asynccontextmanager
async def serving(
    handler: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]] = echo,
    host: str = "127.0.0.1",
) -> AsyncIterator[int]:
    """Run a server on this host; yields its port."""
    server = await asyncio.start_server(handler, host, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def sockets() -> set[str]:
    """Return the open sockets of this process."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.add(os.readlink(f"/proc/self/fd/{name}"))
    return {each for each in found if each.startswith("socket:")}


class EchoDatagrams(asyncio.DatagramProtocol):
    """Sends datagrams back, with a prefix."""

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport
        self.clients: list[Address] = []

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.clients.append(addr)
        self.transport.sendto(b"echo " + data, addr)


class Inbox(asyncio.DatagramProtocol):
    """Collects datagrams."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        del addr
        self.received.put_nowait(data)


async def exchange(streams: Streams, data: bytes, size: int) -> bytes:
    """Write, and read so many bytes of the answer."""
    reader, writer = streams
    writer.write(data)
    return await asyncio.wait_for(reader.readexactly(size), 10)


async def read_all(streams: Streams, data: bytes = b"") -> bytes:
    """Write, and read until the end."""
    reader, writer = streams
    if data:
        writer.write(data)
    with contextlib.closing(writer):
        return await asyncio.wait_for(reader.read(), 10)


def connect_request(host: str, port: int, command: int = 1) -> bytes:
    return bytes((5, command, 0)) + socks5.write_address(host, port)


async def socks5_connect(streams: Streams, host: str, port: int) -> int:
    """Make a SOCKS5 handshake without a password; returns the reply's code."""
    assert await exchange(streams, b"\x05\x01\x00", 2) == b"\x05\x00"
    reply = await exchange(streams, connect_request(host, port), 4)
    await streams[0].readexactly(6 if reply[3] == 1 else 18)
    return reply[1]


class Associated:
    """A client of UDP ASSOCIATE."""

    def __init__(self, transport: asyncio.DatagramTransport, inbox: Inbox) -> None:
        self.transport = transport
        self.inbox = inbox

    async def ask(self, host: str, port: int, payload: bytes) -> Datagram:
        self.transport.sendto(socks5.write_datagram(Datagram(host, port, payload)))
        return socks5.read_datagram_untrusted(await asyncio.wait_for(self.inbox.received.get(), 10))


async def associate(streams: Streams, port: int = 0) -> Associated:
    """Ask for an association, for a client's UDP port if it is not 0."""
    answer = await exchange(streams, b"\x05\x01\x00" + connect_request("0.0.0.0", port, 3), 12)
    assert answer[2:6] == b"\x05\x00\x00\x01"
    address = (socket.inet_ntoa(answer[6:10]), int.from_bytes(answer[10:12], "big"))
    transport, inbox = await asyncio.get_running_loop().create_datagram_endpoint(
        Inbox, remote_addr=address
    )
    return Associated(transport, inbox)

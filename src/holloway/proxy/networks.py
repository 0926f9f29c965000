"""The two networks that a proxy stands between, as one interface; and the host's own as such.

The tunnel's is a `holloway.net.Network`. Which of the two listens and which connects makes a
forward or a reverse one.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from holloway.net import sockets
from holloway.text.address import numeric

if TYPE_CHECKING:
    from collections.abc import Callable

Address = tuple[str, int]
"""A host, by name or number, and a port."""

AnyProtocol = TypeVar("AnyProtocol", bound=asyncio.DatagramProtocol)

BACKLOG = 1024


class Listener(Protocol):
    """A listening TCP port, as `holloway.net.stack` has it."""

    @property
    def address(self) -> Address: ...

    async def accept(self) -> tuple[socket.socket, Address]:
        """Wait for a connection: a non-blocking socket and who it is."""

    def close(self) -> None: ...


class ProxyNetwork(Protocol):
    """A network that one can listen in and connect to."""

    async def connect(self, host: str, port: int) -> socket.socket:
        """Open a TCP connection and return its non-blocking socket; raises OSError."""

    async def listen(self, host: str, port: int) -> list[Listener]:
        """Listen on every address of a name; on all of both families where it is empty."""

    async def create_datagram_endpoint(
        self,
        factory: Callable[[], AnyProtocol],
        *,
        local_addr: Address | None = None,
        remote_addr: Address | None = None,
    ) -> tuple[asyncio.DatagramTransport, AnyProtocol]:
        """Open a UDP port; its other end is fixed where `remote_addr` is given."""


class HostNetwork:
    """The network of the host."""

    async def connect(self, host: str, port: int) -> socket.socket:
        failure: OSError | None = None
        for family, address in await addresses(host, port, socket.SOCK_STREAM):
            try:
                return await sockets.connect(socket.socket(family, socket.SOCK_STREAM), address)
            except OSError as error:
                failure = failure or error
        raise failure or OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))

    async def listen(self, host: str, port: int) -> list[Listener]:
        listeners: list[Listener] = []
        try:
            for family, address in await addresses(host, port, socket.SOCK_STREAM):
                # Where any port will do, all listen on the one that the first has got.
                chosen = listeners[0].address[1] if listeners else port
                address_and_port = (address[0], chosen, *address[2:])
                sock = socket.socket(family, socket.SOCK_STREAM)
                listeners.append(HostListener(sockets.listen(sock, address_and_port, BACKLOG)))
        except OSError as error:
            for listener in listeners:
                listener.close()
            raise OSError(error.errno, error.strerror, format_address((host, port))) from None
        return listeners

    async def create_datagram_endpoint(
        self,
        factory: Callable[[], AnyProtocol],
        *,
        local_addr: Address | None = None,
        remote_addr: Address | None = None,
    ) -> tuple[asyncio.DatagramTransport, AnyProtocol]:
        loop = asyncio.get_running_loop()
        if local_addr is not None and not local_addr[0]:
            return await loop.create_datagram_endpoint(
                factory, sock=_dual_stack_socket(local_addr[1])
            )
        return await loop.create_datagram_endpoint(
            factory, local_addr=local_addr, remote_addr=remote_addr
        )


class HostListener:
    """A listening socket of the host."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    @property
    def address(self) -> Address:
        host, port = self._socket.getsockname()[:2]
        return host, port

    async def accept(self) -> tuple[socket.socket, Address]:
        sock, address = await asyncio.get_running_loop().sock_accept(self._socket)
        return sock, address[:2]

    def close(self) -> None:
        self._socket.close()


def _dual_stack_socket(port: int) -> socket.socket:
    """A UDP port on all addresses of both families."""
    is_dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if is_dual else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        if is_dual:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(("", port))
    except OSError:
        sock.close()
        raise
    return sock


async def addresses(host: str, port: int, kind: int) -> list[tuple[int, tuple[Any, ...]]]:
    """Look up a name; a number takes no detour by a thread. Raises OSError."""
    if numeric(host) is not None:
        found = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_NUMERICHOST)
    else:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host or None, port, type=kind, flags=socket.AI_PASSIVE)
    return [(family, address) for family, _, _, _, address in found]


def format_address(address: Address) -> str:
    """Write an address as `host:port`, IPv6 in brackets."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

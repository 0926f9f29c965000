"""The two networks that a proxy stands between, as one interface, and the host's own network.

`holloway.net.Network` has this interface; it is the network inside the tunnel. Whether a forward
leads into the tunnel or out of it depends on which of the two listens and which connects.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from holloway.net import sockets
from holloway.net.resolve import not_a_name
from holloway.net.stack import family_of
from holloway.text.address import numeric, site

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from holloway.net.sockets import Listener
    from holloway.net.stack import AnyProtocol
    from holloway.proxy.address import Address


class ProxyNetwork(Protocol):
    """A network to listen in and to connect to; the methods are those of `holloway.net.Network`.

    An empty host is all addresses of the network.
    """

    def source_of(self, host: str) -> Hashable: ...

    def start_connecting(self, host: str, port: int) -> socket.socket | None: ...

    async def connect(self, host: str, port: int) -> socket.socket: ...

    async def listen_on(
        self, hosts: Sequence[str], port: int, *, backlog: int
    ) -> list[Listener]: ...

    async def create_datagram_endpoint(
        self,
        factory: Callable[[], AnyProtocol],
        local_addr: Address | None = None,
        remote_addr: Address | None = None,
    ) -> tuple[asyncio.DatagramTransport, AnyProtocol]: ...


class HostNetwork:
    """The network of the host."""

    def source_of(self, host: str) -> Hashable:
        """Return whose an address is, as far as it says; None for this host itself."""
        return _source_of(host)

    def start_connecting(self, host: str, port: int) -> socket.socket | None:
        """Return a TCP socket that is connecting; None for a name. Raises OSError."""
        if numeric(host) is None or "%" in host:
            return None
        return sockets.start_connecting(socket.socket(family_of(host)), (host, port))

    async def connect(self, host: str, port: int) -> socket.socket:
        failure: OSError | None = None
        for family, address in await _addresses(host, port):
            try:
                return await sockets.connect(socket.socket(family, socket.SOCK_STREAM), address)
            except OSError as error:
                failure = failure or error
        raise failure or OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))

    async def listen_on(self, hosts: Sequence[str], port: int, *, backlog: int) -> list[Listener]:
        addresses = [
            (address[0], port, *address[2:])
            for host in hosts or ("",)
            for _, address in await _addresses(host, port)
        ]
        listening = sockets.listen(lambda host: socket.socket(family_of(host)), addresses, backlog)
        return [sockets.Listener(each) for each in listening]

    async def create_datagram_endpoint(
        self,
        factory: Callable[[], AnyProtocol],
        local_addr: Address | None = None,
        remote_addr: Address | None = None,
    ) -> tuple[asyncio.DatagramTransport, AnyProtocol]:
        loop = asyncio.get_running_loop()
        if local_addr is not None and not local_addr[0]:
            return await loop.create_datagram_endpoint(
                factory, sock=_dual_stack_socket(local_addr[1])
            )
        try:
            return await loop.create_datagram_endpoint(
                factory, local_addr=local_addr, remote_addr=remote_addr
            )
        except UnicodeError:  # a label that is empty or too long
            raise not_a_name(str((remote_addr or local_addr or ("",))[0])) from None


@lru_cache(maxsize=256)
def _source_of(host: str) -> Hashable:
    number = numeric(host)
    return None if number is None or number.is_loopback else site(number)


def _dual_stack_socket(port: int) -> socket.socket:
    """Return a UDP socket on all addresses of both families."""
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


async def _addresses(host: str, port: int) -> list[tuple[int, tuple[Any, ...]]]:
    """Return families and addresses of a host; a number is parsed without a thread."""
    kind = socket.SOCK_STREAM
    if numeric(host) is not None:
        found = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_NUMERICHOST)
    else:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host or None, port, type=kind, flags=socket.AI_PASSIVE)
        except UnicodeError:  # a label that is empty or too long
            raise not_a_name(host) from None
    return [(family, address) for family, _, _, _, address in found]

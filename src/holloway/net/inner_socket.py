"""Sockets of the userspace stack: one end of a pair, with the addresses that it has in the tunnel.

They are real sockets, which any library may read, write and wait for; only what is asked about
addresses and TCP's options is answered here instead of by the kernel. Made by `userspace`.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable

    from holloway.net.stack import Address

SOCKADDR: Final = struct.Struct(">H16s")  # what precedes a payload: port, address (crates/stack)
MAX_MESSAGE: Final = 65_535 + SOCKADDR.size
V4_MAPPED_PREFIX: Final = bytes(10) + b"\xff\xff"


class InnerSocket(socket.socket):
    """A connected TCP socket. Its kind for the kernel is AF_UNIX, a pair's."""

    _local: Address = ("0.0.0.0", 0)  # noqa: S104
    _remote: Address | None = None

    @classmethod
    def of(cls, fd: int, local: Address, remote: Address | None) -> Self:
        """Take over a descriptor."""
        sock = cls(fileno=fd)
        sock._local, sock._remote = local, remote
        sock.setblocking(False)
        return sock

    def getsockname(self) -> Address:
        return self._local

    def getpeername(self) -> Address:
        if self._remote is None:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        if self.fileno() < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._remote

    def setsockopt(self, level: int, option: int, *value: Any) -> None:
        """TCP's and IP's options are taken and change nothing: segments leave without delay."""
        if level not in IP_LEVELS:
            super().setsockopt(level, option, *value)

    def getsockopt(self, level: int, option: int, *size: int) -> Any:
        if level not in IP_LEVELS:
            return super().getsockopt(level, option, *size)
        if size:
            return bytes(size[0])
        return int((level, option) == (socket.IPPROTO_TCP, socket.TCP_NODELAY))

    def dup(self) -> Self:
        return self.of(os.dup(self.fileno()), self._local, self._remote)


class InnerDatagramSocket(InnerSocket):
    """A UDP socket: a pair that keeps messages apart and knows when the other end is closed.

    Without a remote address each message has the other's before it, and so only `sendto` and
    `recvfrom` are of use.
    """

    _reason: Callable[[], OSError | None] = staticmethod(lambda: None)

    @property
    def type(self) -> socket.SocketKind:
        """What it is to its user."""
        return socket.SOCK_DGRAM

    def with_close_reason(self, reason: Callable[[], OSError | None]) -> Self:
        """Have reading fail with what `reason` gives, once the stack is closed."""
        self._reason = reason
        return self

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        data = super().recv(size, flags)
        reason = None if data else self._reason()
        if reason is not None:
            raise OSError(reason.errno, reason.strerror)
        return data

    def recvfrom(self, size: int, flags: int = 0, /) -> tuple[bytes, Address]:
        if self._remote is not None:
            return self.recv(size, flags), self._remote
        message = self.recv(size + SOCKADDR.size, flags)
        port, packed = SOCKADDR.unpack_from(message)
        address = packed[12:] if packed.startswith(V4_MAPPED_PREFIX) else packed
        return message[SOCKADDR.size :], (str(ip_address(address)), port)

    def sendto(self, data: Any, *rest: Any) -> int:
        """Send to the last argument; flags may stand before it."""
        if self._remote is not None:
            raise OSError(errno.EISCONN, os.strerror(errno.EISCONN))
        *flags, (host, port, *_) = rest
        address = ip_address(host)
        packed = (
            address.packed
            if isinstance(address, IPv6Address)
            else V4_MAPPED_PREFIX + address.packed
        )
        sent = super().send(SOCKADDR.pack(port, packed) + bytes(data), *flags)
        return sent - SOCKADDR.size


IP_LEVELS: Final = {socket.IPPROTO_TCP, socket.IPPROTO_IP, socket.IPPROTO_IPV6}

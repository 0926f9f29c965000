"""Sockets of the userspace stack: one end of a socket pair, with the addresses in the tunnel.

They are real sockets, which any library can read, write and wait for. Only addresses and TCP
options are answered here instead of by the kernel. `userspace` makes them.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any, Final, Self

from holloway.net.closing_socket import ClosingSocket

if TYPE_CHECKING:
    from collections.abc import Callable

    from holloway.net.stack import Address

SOCKADDR: Final = struct.Struct(">H16s")  # before a payload: port and address (crates/stack)
MAX_MESSAGE: Final = 65_535 + SOCKADDR.size
V4_MAPPED_PREFIX: Final = bytes(10) + b"\xff\xff"


class InnerSocket(ClosingSocket):
    """A connected TCP socket. For the kernel its family is AF_UNIX, that of the pair."""

    _local: Address = ("0.0.0.0", 0)  # noqa: S104
    _remote: Address | None = None

    @classmethod
    def of(cls, fd: int, local: Address, remote: Address | None) -> Self:
        """Make a socket that owns a descriptor."""
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
        """Accept and ignore options of TCP and IP; segments leave without delay anyway."""
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
    """A UDP socket: a pair that keeps message boundaries and notices when the other end closes.

    Without a remote address each message is preceded by its address, so that only `sendto` and
    `recvfrom` are usable.
    """

    _reason: Callable[[], OSError | None] = staticmethod(lambda: None)

    @property
    def type(self) -> socket.SocketKind:
        """The type that its user expects."""
        return socket.SOCK_DGRAM

    def with_close_reason(self, reason: Callable[[], OSError | None]) -> Self:
        """Raise the error that `reason` returns from reads, once the stack is closed."""
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

"""Sockets of the userspace stack: one end of a socket pair, with the addresses in the tunnel.

They are real sockets, which any library can read, write and wait for. Only addresses, options, and
what makes a connection are answered here or by the stack instead of by the kernel. `inner_stream`
and `inner_datagram` have the two kinds; `userspace` makes them.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from holloway.net.closing_socket import ClosingSocket
from holloway.net.inner_address import read_address, to_tuple
from holloway.net.stack import WILDCARDS

if TYPE_CHECKING:
    from holloway import _native
    from holloway.net.stack import Address


class Owner(Protocol):
    """What the sockets need of their stack."""

    @property
    def buffer(self) -> int:
        """The size of the buffers of a socket pair."""

    @property
    def reason(self) -> OSError | None:
        """Why the stack is closed; None while it is open."""

    def reaches(self, host: str) -> bool:
        """Whether a peer has an address, and an endpoint; any thread may call it."""

    def native(self) -> _native.Stack:
        """Return the stack; raises OSError where it is closed, and in a fork."""


class InnerSocket(ClosingSocket):
    """What both kinds have in common. For the kernel the family is AF_UNIX, that of the pair."""

    PAIR: socket.SocketKind
    """The kernel's type of the pair."""
    TYPE: socket.SocketKind
    """The type that its user expects."""
    _owner: Owner
    _number = 0
    _family = socket.AF_INET
    _proto = 0
    _local: Address | None = None
    _remote: Address | None = None
    _options: dict[tuple[int, int], Any]

    @classmethod
    def make(cls, owner: Owner, fd: int, **state: Any) -> Self:
        """Make a blocking socket that owns a descriptor."""
        sock = cls(socket.AF_UNIX, cls.PAIR, 0, fileno=fd)
        sock._owner, sock._options = owner, {}
        vars(sock).update(state)
        # The descriptor is non-blocking; the default timeout may be another.
        sock.settimeout(socket.getdefaulttimeout())
        return sock

    def assign(self, number: int, family: socket.AddressFamily, proto: int) -> None:
        """Set what a new socket is to the stack and to its user."""
        self._number, self._family, self._proto = number, family, proto

    def require_open(self) -> None:
        """Raise OSError if the socket is closed."""
        if self.fileno() < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def dup(self) -> Self:
        return self.over(os.dup(self.fileno()))

    def over(self, fd: int) -> Self:
        """Make the same socket over another descriptor of it."""
        copy = self.make(self._owner, fd, **vars(self))
        copy.settimeout(self.gettimeout())
        return copy

    @property
    def family(self) -> socket.AddressFamily:
        return self._family

    @property
    def type(self) -> socket.SocketKind:
        return self.TYPE

    @property
    def proto(self) -> int:
        return self._proto

    def bind(self, address: Any) -> None:
        wanted = read_address(address, self._family)
        is_dual = self._family == socket.AF_INET6 and not self._options.get(V6ONLY)
        self.require_open()
        try:
            bound = self._owner.native().bind(self._number, wanted, is_dual)
        except OSError as error:
            raise self._error(error.errno) from None
        self._local = to_tuple(bound, self._family)

    def getsockname(self) -> Address:
        self.require_open()
        return self._local or to_tuple((WILDCARDS[self._family], 0), self._family)

    def getpeername(self) -> Address:
        self.require_open()
        if self._remote is None:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        return self._remote

    def setsockopt(self, level: int, option: int, *value: Any) -> None:
        """Accept options of TCP and IP; only IPV6_V6ONLY has an effect."""
        if level in IP_LEVELS or (level, option) in IGNORED:
            self._options[level, option] = value[0]
        else:
            super().setsockopt(level, option, *value)

    def getsockopt(self, level: int, option: int, *size: int) -> Any:
        answer = self._answer(level, option)
        if answer is None:
            return super().getsockopt(level, option, *size)
        if size and not isinstance(answer, bytes):
            answer = int(answer).to_bytes(size[0], "little")
        return answer

    def _answer(self, level: int, option: int) -> Any:
        """Return the value of an option that the kernel has otherwise; None for the kernel's."""
        if level == socket.SOL_SOCKET:
            known = {
                socket.SO_TYPE: self.TYPE,
                socket.SO_DOMAIN: self._family,
                socket.SO_PROTOCOL: self._proto or PROTOCOLS[self.TYPE],
            }
            return known.get(option, self._options.get((level, option)))
        if level not in IP_LEVELS:
            return None
        # Segments leave without delay anyway.
        is_set = (level, option) == (socket.IPPROTO_TCP, socket.TCP_NODELAY)
        return int(is_set) or self._options.get((level, option), 0)

    def _error(self, number: int | None) -> OSError:
        """Return an error with the text of the system, or the reason why the stack is closed."""
        reason = self._owner.reason
        if number == errno.ENETDOWN and reason is not None:
            return OSError(reason.errno, reason.strerror)
        number = number or errno.EIO
        return OSError(number, os.strerror(number))


def needs_pair() -> bool:
    """Whether the running loop is not asyncio's own: then it has to know what the kernel has.

    uvloop makes a handle of its own from the descriptor of a socket that it is given.
    """
    loop = asyncio._get_running_loop()
    return loop is not None and not isinstance(loop, asyncio.BaseEventLoop)


IP_LEVELS: Final = {socket.IPPROTO_TCP, socket.IPPROTO_IP, socket.IPPROTO_IPV6}
IGNORED: Final = {(socket.SOL_SOCKET, socket.SO_REUSEPORT)}
V6ONLY: Final = (int(socket.IPPROTO_IPV6), int(socket.IPV6_V6ONLY))
PROTOCOLS: Final = {
    socket.SOCK_STREAM: socket.IPPROTO_TCP,
    socket.SOCK_DGRAM: socket.IPPROTO_UDP,
}

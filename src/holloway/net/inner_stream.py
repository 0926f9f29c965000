"""TCP sockets of the userspace stack.

A socket begins as an `UnconnectedSocket`, for which the stack does what concerns addresses. Once it
is connected it becomes a `StreamSocket`, whose bytes pass through the kernel's methods alone.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
from array import array
from typing import TYPE_CHECKING, Any, Final

from holloway.net.inner_address import HEAD, read_destination, to_tuple, unpack_address
from holloway.net.inner_socket import InnerSocket, needs_pair
from holloway.net.stack import WILDCARDS

if TYPE_CHECKING:
    from holloway import _native
    from holloway.net.stack import Address

CONNECT_TIMEOUT: Final = 127.0
"""Seconds until an unanswered connection attempt fails, as in Linux (tcp_syn_retries 6)."""


class StreamSocket(InnerSocket):
    """A connected TCP socket."""

    PAIR = TYPE = socket.SOCK_STREAM

    @property
    def family(self) -> socket.AddressFamily:
        return socket.AF_UNIX if needs_pair() else self._family

    def bind(self, address: Any) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    def connect(self, address: Any) -> None:
        raise OSError(errno.EISCONN, os.strerror(errno.EISCONN))

    def connect_ex(self, address: Any) -> int:
        return errno.EISCONN

    def listen(self, backlog: int = 128, /) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    def accept(self) -> tuple[socket.socket, Address]:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


class UnconnectedSocket(StreamSocket):
    """A TCP socket that is new, bound, listening or connecting."""

    CONNECTED = StreamSocket
    """What it becomes."""
    _is_listening = False
    _attempt: _native.Attempt | None = None

    @property
    def family(self) -> socket.AddressFamily:
        return self._family

    @property
    def type(self) -> socket.SocketKind:
        # uvloop's servers call accept(2) with the descriptor; now they refuse the socket.
        return socket.SOCK_SEQPACKET if needs_pair() else self.TYPE

    def bind(self, address: Any) -> None:
        InnerSocket.bind(self, address)

    def listen(self, backlog: int = 128, /) -> None:
        self.require_open()
        native = self._owner.native()
        if self._local is None:
            self.bind((WILDCARDS[self._family], 0))
        native.listen(self._number, max(0, backlog))
        self._is_listening = True

    def accept(self) -> tuple[socket.socket, Address]:
        if not self._is_listening:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        flags = socket.MSG_CMSG_CLOEXEC
        try:
            names, ancillary, _, _ = socket.socket.recvmsg(self, 2 * HEAD.size, SPACE, flags)
        except ConnectionError:
            names, ancillary = b"", []
        if not names:
            raise self._error(errno.ENETDOWN)
        if not ancillary:  # recvmsg(2) drops the descriptor if no number is free
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        (fd,) = array("i", ancillary[0][2][: array("i").itemsize])
        remote = unpack_address(names[: HEAD.size], self._family)
        local = unpack_address(names[HEAD.size :], self._family)
        accepted = StreamSocket.make(
            self._owner, fd, _family=self._family, _proto=self._proto, _local=local, _remote=remote
        )
        return accepted, remote

    def connect(self, address: Any) -> None:
        number = UnconnectedSocket.connect_ex(self, address)  # a subclass may call `connect`
        if number == errno.EAGAIN:
            raise TimeoutError("timed out")
        if number:
            raise self._error(number)

    def connect_ex(self, address: Any) -> int:
        self.require_open()
        if self._is_listening:
            return errno.EISCONN
        if self._attempt is None:
            remote = read_destination(address, self._family)
            native = self._owner.native()
            if not self._owner.reaches(remote[0]):
                return errno.EHOSTUNREACH
            self._attempt = native.connect(self._number, self.fileno(), remote, CONNECT_TIMEOUT)
            self._target = to_tuple(remote, self._family)
            if self.gettimeout() == 0:
                return errno.EINPROGRESS
        elif self.gettimeout() == 0 and not self._is_writable(0):
            return errno.EALREADY
        if not self._is_writable(self.gettimeout()):
            return errno.EAGAIN
        return self._finish()

    def shutdown(self, how: int, /) -> None:
        """End directions of the connection, or listen no more."""
        if not self._is_listening:
            self._await_connection(errno.ENOTCONN)
        socket.socket.shutdown(self, how)

    def getsockname(self) -> Address:
        if self._attempt is not None and self.fileno() >= 0:
            with contextlib.suppress(OSError):
                return to_tuple(self._owner.native().name(self._number), self._family)
        return super().getsockname()

    def getpeername(self) -> Address:
        if self._is_over():
            self._finish()
        return InnerSocket.getpeername(self)  # it may have another class now

    def detach(self) -> int:
        if self._is_over():
            self._finish()
        return socket.socket.detach(self)

    def _answer(self, level: int, option: int) -> Any:
        if level == socket.SOL_SOCKET and option == socket.SO_ERROR:
            return self._finish() if self._is_over() else 0
        if level == socket.SOL_SOCKET and option == socket.SO_ACCEPTCONN:
            return int(self._is_listening)
        return super()._answer(level, option)

    def _is_over(self) -> bool:
        """Whether connecting has ended and nobody has looked at how."""
        attempt = self._attempt
        return attempt is not None and (attempt.outcome() is not None or self._is_writable(0))

    def _is_writable(self, timeout: float | None) -> bool:
        """Wait until connecting has ended."""
        poll = select.poll()
        poll.register(self.fileno(), select.POLLOUT)
        return bool(poll.poll(None if timeout is None else timeout * 1000))

    def _finish(self) -> int:
        """Take the outcome of connecting, which has ended; returns an errno, or 0."""
        assert self._attempt is not None
        attempt, self._attempt = self._attempt, None
        # A stack that ends has no outcome any more.
        number, local = attempt.outcome() or (errno.ENETDOWN, None)
        if local is not None:
            self._local = to_tuple(local, self._family)
            self._remote = self._target
            # It was small, so that the socket was not writable.
            size = self._owner.buffer
            socket.socket.setsockopt(self, socket.SOL_SOCKET, socket.SO_SNDBUF, size)
            self.__class__ = self.CONNECTED  # type: ignore[assignment]
        return number

    def _await_connection(self, number: int) -> None:
        """Raise unless it is connected; `number` is the error of a socket that never was."""
        self.require_open()
        if self._attempt is None:
            raise OSError(number, os.strerror(number))
        if not self._is_writable(self.gettimeout()):
            if self.gettimeout() == 0:
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            raise TimeoutError("timed out")
        if number := self._finish():
            raise self._error(number)


def _once_connected(name: str, number: int) -> Any:
    method = getattr(socket.socket, name)

    def call(self: UnconnectedSocket, *arguments: Any, **named: Any) -> Any:
        self._await_connection(number)
        return method(self, *arguments, **named)

    call.__name__ = name
    return call


for _name in ("recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into"):
    setattr(UnconnectedSocket, _name, _once_connected(_name, errno.ENOTCONN))
for _name in ("send", "sendall", "sendmsg", "sendto", "sendfile"):
    setattr(UnconnectedSocket, _name, _once_connected(_name, errno.EPIPE))
SPACE: Final = socket.CMSG_LEN(array("i").itemsize)

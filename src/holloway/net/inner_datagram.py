"""UDP sockets of the userspace stack: a pair that keeps message boundaries.

Each message has the other side's address before its payload. A shorter one is an error that came
for the socket. Between the program and the stack there is room for a few hundred datagrams.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import sys
from typing import TYPE_CHECKING, Any, Final

from holloway.net.inner_address import (
    HEAD,
    pack_address,
    read_destination,
    to_tuple,
    unpack_address,
)
from holloway.net.inner_socket import InnerSocket, needs_pair
from holloway.net.stack import WILDCARDS

if TYPE_CHECKING:
    from holloway.net.stack import Address

MAX_PAYLOAD: Final = 65_535 - 20 - 8


class DatagramSocket(InnerSocket):
    """A UDP socket."""

    PAIR = socket.SOCK_SEQPACKET
    TYPE = socket.SOCK_DGRAM
    _head: bytes | None = None

    @property
    def type(self) -> socket.SocketKind:
        return self.PAIR if needs_pair() else self.TYPE

    @property
    def is_connected(self) -> bool:
        """Whether it has a remote address."""
        return self._remote is not None

    @property
    def is_over(self) -> bool:
        """Whether the stack has ended."""
        poll = select.poll()
        poll.register(self.fileno(), 0)
        return bool(poll.poll(0))

    def connect(self, address: Any) -> None:
        remote = read_destination(address, self._family)
        self.require_open()
        try:
            local = self._owner.native().associate(self._number, remote)
        except OSError as error:
            raise self._error(error.errno) from None
        self._local = to_tuple(local, self._family)
        self._remote = to_tuple(remote, self._family)
        self._head = pack_address(*remote)

    def connect_ex(self, address: Any) -> int:
        try:
            self.connect(address)
        except socket.gaierror:
            raise
        except OSError as error:
            return error.errno or errno.EIO
        return 0

    def shutdown(self, how: int, /) -> None:
        """Like the kernel's, which refuses it for a UDP socket that is not connected."""
        if self._remote is None:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        super().shutdown(how)

    def recvmsg(
        self, size: int, ancillary_size: int = 0, flags: int = 0, /
    ) -> tuple[bytes, list[tuple[int, int, bytes]], int, Any]:
        try:
            message, _, found, _ = super().recvmsg(size + HEAD.size, 0, flags)
        except ConnectionError:
            message, found = b"", 0
        if len(message) < HEAD.size:
            self._raise(message, flags)
        address = unpack_address(message[: HEAD.size], self._family)
        return message[HEAD.size :], [], found & ~socket.MSG_EOR, address

    def recvfrom(self, size: int, flags: int = 0, /) -> tuple[bytes, Address]:
        data, _, _, address = self.recvmsg(size, 0, flags)
        return data, address

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        return self.recvmsg(size, 0, flags)[0]

    def recvfrom_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> tuple[int, Address]:
        view = memoryview(buffer).cast("B")
        data, address = self.recvfrom(nbytes or len(view), flags)
        view[: len(data)] = data
        return len(data), address

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        return self.recvfrom_into(buffer, nbytes, flags)[0]

    def recvmsg_into(
        self, buffers: Any, ancillary_size: int = 0, flags: int = 0, /
    ) -> tuple[int, list[tuple[int, int, bytes]], int, Any]:
        views = [memoryview(buffer).cast("B") for buffer in buffers]
        data, ancillary, found, address = self.recvmsg(sum(map(len, views)), 0, flags)
        rest = memoryview(data)
        for view in views:
            part, rest = rest[: len(view)], rest[len(view) :]
            view[: len(part)] = part
        return len(data), ancillary, found, address

    def send(self, data: Any, flags: int = 0, /) -> int:
        return self.sendmsg((data,), (), flags)

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        self.send(data, flags)

    def sendto(self, data: Any, *rest: Any) -> int:
        """Send to the last argument; flags may stand before it."""
        flags, address = rest[:-1] or (0,), rest[-1]
        return self.sendmsg((data,), (), flags[0], address)

    def sendmsg(
        self, buffers: Any, ancillary: Any = (), flags: int = 0, address: Any = None, /
    ) -> int:
        self.require_open()
        if address is None:
            if self._head is None:
                raise OSError(errno.EDESTADDRREQ, os.strerror(errno.EDESTADDRREQ))
            return self._send(self._head, buffers, flags)
        head = pack_address(*read_destination(address, self._family))
        if self._local is None:
            self.bind((WILDCARDS[self._family], 0))
        return self._send(head, buffers, flags)

    def _send(self, head: bytes, buffers: Any, flags: int) -> int:
        parts = [memoryview(buffer).cast("B") for buffer in buffers]
        if sum(map(len, parts)) > MAX_PAYLOAD:
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        try:
            return super().sendmsg([head, *parts], (), flags) - HEAD.size
        except ConnectionError:
            raise self._error(errno.ENETDOWN) from None

    def _raise(self, message: bytes, flags: int) -> None:
        """Raise the error that came for the socket, or the end of the stack."""
        if message and flags & socket.MSG_PEEK:
            with contextlib.suppress(OSError):
                super().recv(HEAD.size)
        number = int.from_bytes(message, sys.byteorder) if message else errno.ENETDOWN
        raise self._error(number)

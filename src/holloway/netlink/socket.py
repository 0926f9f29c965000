"""Netlink sockets: `NetlinkSocket` asks the kernel, `Watch` is notified by it.

Knows no family's messages. Imports next to nothing, because `wg` starts with it.
"""

from __future__ import annotations

import _socket
import errno
import os
import struct

from holloway.netlink.attributes import (
    GENERIC_LENGTH,
    NLM_F_ACK,
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLMSG_DONE,
    NLMSG_ERROR,
    attributes,
    generic,
    message,
    messages,
    number,
    protocol_error,
    text,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final, Self


class NetlinkSocket:
    """A socket for requests and their answers; a context manager.

    `opened` is a socket to use, of another namespace for instance, which stays the caller's.
    """

    def __init__(self, protocol: int, opened: _socket.socket | None = None) -> None:
        self._is_owner = opened is None
        self._socket = opened or _socket.socket(AF_NETLINK, _socket.SOCK_RAW, protocol)
        self._sequence = 0
        # The kernel need not send a refused request back: it may hold keys, and is long.
        self._socket.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket, if it is not the caller's."""
        if self._is_owner:
            self._socket.close()

    def check_strictly(self) -> None:
        """Have dumps filtered by the kernel; raises OSError before Linux 4.20."""
        self._socket.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)

    def request(self, kind: int, payload: bytes, flags: int = NLM_F_ACK) -> list[bytes]:
        """Send a request, return the payloads of all that comes back; raises OSError.

        EINTR: what is dumped changed meanwhile; `dump` asks again.
        """
        self._sequence += 1
        self._send(message(kind, flags, self._sequence, payload))
        payloads: list[bytes] = []
        while not self._receive(payloads):
            pass
        return payloads

    def dump(self, kind: int, payload: bytes) -> list[bytes]:
        """Return the payloads of a whole dump, during which nothing changed; raises OSError."""
        while True:
            try:
                return self.request(kind, payload, NLM_F_DUMP)
            except InterruptedError:
                continue  # else an entry may be there twice, or not at all

    def batch(self, kind: int, payloads: Sequence[bytes], flags: int = 0) -> list[int]:
        """Send requests, many to a system call; return the errno for each, 0 if it succeeded.

        A refused request does not keep the kernel from the ones after it.
        """
        results: list[int] = []
        for start in range(0, len(payloads), BATCH_SIZE):
            some = payloads[start : start + BATCH_SIZE]
            first = self._sequence + 1
            self._sequence += len(some)
            self._send(
                b"".join(
                    message(kind, flags | NLM_F_ACK, sequence, payload)
                    for sequence, payload in enumerate(some, first)
                )
            )
            found: dict[int, int] = {}
            while len(found) < len(some):
                for answer, _, sequence, payload in messages(self._datagram()):
                    if answer == NLMSG_ERROR and sequence >= first:
                        found[sequence] = _status(payload)
            results += [found[sequence] for sequence in range(first, first + len(some))]
        return results

    def family(self, name: str) -> int:
        """Look up the number of a generic netlink family; raises FileNotFoundError."""
        request = generic(CTRL_CMD_GETFAMILY, 1) + text(CTRL_ATTR_FAMILY_NAME, name)
        for answer in self.request(GENL_ID_CTRL, request):
            found = number(dict(attributes(answer[GENERIC_LENGTH:])).get(CTRL_ATTR_FAMILY_ID))
            if found is not None:
                return found
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    def _send(self, requests: bytes) -> None:
        self._socket.sendto(requests, (0, 0))

    def _datagram(self) -> bytes:
        """Receive a datagram of the kernel: other processes may send, but have no say."""
        while True:
            datagram, (sender, *_) = self._socket.recvfrom(DATAGRAM_SIZE)
            if sender == 0:
                return datagram

    def _receive(self, payloads: list[bytes]) -> bool:
        """Receive a datagram of the answer; return whether it was the last."""
        last = False
        for kind, flags, sequence, payload in messages(self._datagram()):
            if sequence != self._sequence:
                continue
            if flags & NLM_F_DUMP_INTR:
                raise InterruptedError(errno.EINTR, os.strerror(errno.EINTR))
            if kind in (NLMSG_ERROR, NLMSG_DONE):
                status = _status(payload)
                if status > 0:
                    raise OSError(status, os.strerror(status))
                last = True
            else:
                payloads.append(payload)
        return last


class Watch:
    """A socket that is readable once something changed in these groups of rtnetlink."""

    def __init__(self, groups: int) -> None:
        kind = _socket.SOCK_RAW | _socket.SOCK_NONBLOCK
        self._socket = _socket.socket(AF_NETLINK, kind, NETLINK_ROUTE)
        self._socket.bind((0, groups))
        self.has_lost = False
        """Whether messages were lost before those that were last taken."""

    @classmethod
    def from_fd(cls, fd: int) -> Self:
        """Take over the descriptor of one, which another process opened."""
        watch = cls.__new__(cls)
        watch._socket = _socket.socket(fileno=fd)
        watch.has_lost = False
        return watch

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def send(self, kind: int, payload: bytes) -> None:
        """Send a request without asking for an answer; raises OSError."""
        self._socket.sendto(message(kind, 0, 0, payload), (0, 0))

    def drain(self) -> list[bytes]:
        """Take all datagrams of the kernel that came; raises OSError.

        Some may have been lost: that there were any is what counts.
        """
        found: list[bytes] = []
        self.has_lost = False
        while True:
            try:
                datagram, (sender, *_) = self._socket.recvfrom(DATAGRAM_SIZE)
            except BlockingIOError:
                return found
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.has_lost = True
                continue
            if sender == 0:
                found.append(datagram)


def _status(payload: bytes) -> int:
    """Read the errno of an acknowledgement or of the end of a dump."""
    if len(payload) < _INT.size:
        raise protocol_error()
    return -int(_INT.unpack_from(payload)[0])


AF_NETLINK: Final = _socket.AF_NETLINK
NETLINK_ROUTE: Final = _socket.NETLINK_ROUTE
# linux/netlink.h
NETLINK_SOCK_DIAG: Final = 4
NETLINK_NETFILTER: Final = 12
NETLINK_GENERIC: Final = 16
SOL_NETLINK: Final = 270
NETLINK_CAP_ACK: Final = 10
NETLINK_GET_STRICT_CHK: Final = 12
# linux/genetlink.h
GENL_ID_CTRL: Final = 16
CTRL_CMD_GETFAMILY: Final = 3
CTRL_ATTR_FAMILY_ID: Final = 1
CTRL_ATTR_FAMILY_NAME: Final = 2

BATCH_SIZE: Final = 100  # so that the answers fit the socket's receive buffer
DATAGRAM_SIZE: Final = 1 << 16  # the kernel fills at most 32 KiB (net/netlink/af_netlink.c)
_INT: Final = struct.Struct("=i")

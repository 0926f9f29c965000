"""Netlink as far as `wg` and a device need it: messages, attributes, a socket that asks the kernel
and one that is told.

Knows no family's meaning: that is `kernel_messages`' for WireGuard, `kernel`'s and `link`'s for
links, `routes`' and `quick.route_messages`' for routes. Not pyroute2, which takes longer to load
than `wg show` may last; see docs/decisions.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from typing import Final, Self

ROUTE: Final = socket.NETLINK_ROUTE
GENERIC: Final = 16  # linux/netlink.h, NETLINK_GENERIC
NESTED: Final = 1 << 15  # NLA_F_NESTED
ACKNOWLEDGE: Final = 0x4  # NLM_F_ACK
DUMP: Final = 0x300  # NLM_F_DUMP


class NetlinkSocket:
    """A conversation with the kernel; a context manager."""

    def __init__(self, protocol: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        self._sequence = 0
        # What the kernel refuses may hold keys, and is long: it need not come back with the error.
        self._socket.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)
        self._socket.bind((0, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def request(self, kind: int, payload: bytes, flags: int = ACKNOWLEDGE) -> list[bytes]:
        """Send a message, return the payloads of all that comes back; raises OSError.

        EINTR: what is dumped changed meanwhile, ask again.
        """
        self._sequence += 1
        length = _MESSAGE.size + len(payload)
        header = _MESSAGE.pack(length, kind, _REQUEST | flags, self._sequence, 0)
        self._socket.sendto(header + payload, (0, 0))
        payloads: list[bytes] = []
        while not self._receive(payloads):
            pass
        return payloads

    def family(self, name: str) -> int:
        """Look up the number of a generic netlink family; raises FileNotFoundError."""
        request = generic(_GET_FAMILY, 1) + attribute(_FAMILY_NAME, name.encode() + b"\0")
        for answer in self.request(_CONTROL, request):
            for kind, value in attributes(answer[GENERIC_LENGTH:]):
                if kind == _FAMILY_ID:
                    return int.from_bytes(value, sys.byteorder)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    def _receive(self, payloads: list[bytes]) -> bool:
        """Take one datagram of the answer; returns whether it was the last."""
        datagram, (sender, *_) = self._socket.recvfrom(_DATAGRAM)
        if sender != 0:
            return False  # another process, which may send but has no say
        last = False
        for kind, flags, sequence, payload in messages(datagram):
            if sequence != self._sequence:
                continue
            if flags & _INTERRUPTED:
                raise InterruptedError(errno.EINTR, os.strerror(errno.EINTR))
            if kind in (_ERROR, _DONE):
                _raise(payload)
                last = True
            else:
                payloads.append(payload)
        return last


def watch(groups: int) -> socket.socket:
    """Open a socket that is readable once something changed that these rtnetlink groups tell of."""
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, ROUTE)
    opened.bind((0, groups))
    return opened


def drain(watching: socket.socket) -> None:
    """Read what is there, whatever it is: it was worth a look."""
    while True:
        try:
            watching.recv(_DATAGRAM)
        except BlockingIOError:
            return
        except OSError as error:
            # Messages were lost, which is as good as receiving them.
            if error.errno != errno.ENOBUFS:
                raise


def generic(command: int, version: int) -> bytes:
    """The header of a generic netlink message."""
    return struct.pack("BBxx", command, version)


def attribute(kind: int, value: bytes) -> bytes:
    """Write one attribute, padded."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def nest(kind: int, inner: Iterable[bytes]) -> bytes:
    """Write an attribute that holds attributes."""
    return attribute(kind | NESTED, b"".join(inner))


def attributes(buffer: bytes) -> Iterator[tuple[int, bytes]]:
    """Read attributes one after the other: kind and value."""
    offset, end = 0, len(buffer)
    while offset + ATTRIBUTE_LENGTH <= end:
        length, kind = _ATTRIBUTE.unpack_from(buffer, offset)
        if length < ATTRIBUTE_LENGTH or offset + length > end:
            raise OSError(errno.EPROTO, os.strerror(errno.EPROTO))
        yield kind & _KIND, buffer[offset + ATTRIBUTE_LENGTH : offset + length]
        offset += length + -length % 4


def messages(datagram: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Read the messages of a datagram: kind, flags, sequence and payload of each."""
    offset = 0
    while offset + _MESSAGE.size <= len(datagram):
        length, kind, flags, sequence, _ = _MESSAGE.unpack_from(datagram, offset)
        if length < _MESSAGE.size:
            raise OSError(errno.EPROTO, os.strerror(errno.EPROTO))
        yield kind, flags, sequence, datagram[offset + _MESSAGE.size : offset + length]
        offset += length + -length % 4


def _raise(payload: bytes) -> None:
    (number,) = _NUMBER.unpack_from(payload)
    if number < 0:
        raise OSError(-number, os.strerror(-number))


_MESSAGE: Final = struct.Struct("=IHHII")  # linux/netlink.h, struct nlmsghdr
_ATTRIBUTE: Final = struct.Struct("=HH")  # struct nlattr
_NUMBER: Final = struct.Struct("=i")
ATTRIBUTE_LENGTH: Final = _ATTRIBUTE.size
GENERIC_LENGTH: Final = 4  # linux/genetlink.h, struct genlmsghdr
_KIND: Final = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER
_REQUEST: Final = 0x1  # NLM_F_REQUEST
_INTERRUPTED: Final = 0x10  # NLM_F_DUMP_INTR
_ERROR: Final = 2  # NLMSG_ERROR, an acknowledgement too
_DONE: Final = 3  # NLMSG_DONE
_CONTROL: Final = 16  # GENL_ID_CTRL
_GET_FAMILY: Final = 3  # CTRL_CMD_GETFAMILY
_FAMILY_ID: Final = 1  # CTRL_ATTR_FAMILY_ID
_FAMILY_NAME: Final = 2  # CTRL_ATTR_FAMILY_NAME
_SOL_NETLINK: Final = 270
_CAP_ACK: Final = 10  # NETLINK_CAP_ACK
_DATAGRAM: Final = 1 << 16  # the kernel fills at most 32 KiB (net/netlink/af_netlink.c)

"""Messages and attributes of netlink as bytes (linux/netlink.h, linux/genetlink.h). Pure.

What is read here comes from the kernel; bytes that are no message raise `OSError` (EPROTO).
Imports next to nothing, because `wg` starts with it.
"""

from __future__ import annotations

import errno
import os
import struct
import sys

TYPE_CHECKING = False  # without `typing`, which takes 6 ms to load
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, Final


def message(kind: int, flags: int, sequence: int, payload: bytes) -> bytes:
    """Write a request."""
    length = HEADER.size + len(payload)
    return HEADER.pack(length, kind, NLM_F_REQUEST | flags, sequence, 0) + payload


def messages(datagram: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Read the messages of a datagram: kind, flags, sequence number and payload of each."""
    offset, end = 0, len(datagram)
    while offset + HEADER.size <= end:
        length, kind, flags, sequence, _ = HEADER.unpack_from(datagram, offset)
        if length < HEADER.size or offset + length > end:
            raise protocol_error()
        yield kind, flags, sequence, datagram[offset + HEADER.size : offset + length]
        offset += length + -length % 4


def generic(command: int, version: int) -> bytes:
    """Write the header of a generic netlink message."""
    return struct.pack("BBxx", command, version)


def attribute(kind: int, value: bytes) -> bytes:
    """Write an attribute with its padding."""
    return ATTRIBUTE.pack(ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def u32(kind: int, value: int) -> bytes:
    """Write an attribute that is a number of 32 bits."""
    return _U32.pack(ATTRIBUTE.size + 4, kind, value)


def text(kind: int, value: str) -> bytes:
    """Write an attribute that is a string, with the NUL that ends it."""
    return attribute(kind, os.fsencode(value) + b"\0")


def nest(kind: int, inner: Iterable[bytes]) -> bytes:
    """Write an attribute that contains attributes."""
    return attribute(kind | NLA_F_NESTED, b"".join(inner))


def attributes(buffer: bytes) -> Iterator[tuple[int, bytes]]:
    """Read attributes in their order: kind and value."""
    offset, end = 0, len(buffer)
    while offset + ATTRIBUTE.size <= end:
        length, kind = ATTRIBUTE.unpack_from(buffer, offset)
        if length < ATTRIBUTE.size or offset + length > end:
            raise protocol_error()
        yield kind & NLA_TYPE_MASK, buffer[offset + ATTRIBUTE.size : offset + length]
        offset += length + -length % 4


def header(layout: struct.Struct, payload: bytes) -> tuple[tuple[Any, ...], dict[int, bytes]]:
    """Read a payload that is a structure and attributes; the last of a kind counts."""
    if len(payload) < layout.size:
        raise protocol_error()
    return layout.unpack_from(payload), dict(attributes(payload[layout.size :]))


def number(value: bytes | None) -> int | None:
    """Read the value of an attribute that is a number, if it is there."""
    return None if value is None else int.from_bytes(value, sys.byteorder)


def string(value: bytes) -> str:
    """Read the value of an attribute that is a string."""
    return os.fsdecode(value.rstrip(b"\0"))


def protocol_error() -> OSError:
    """Make the error for bytes that are not what the kernel sends."""
    return OSError(errno.EPROTO, os.strerror(errno.EPROTO))


# linux/netlink.h
HEADER: Final = struct.Struct("=IHHII")  # struct nlmsghdr
ATTRIBUTE: Final = struct.Struct("=HH")  # struct nlattr
NLMSG_ERROR: Final = 2  # an acknowledgement too
NLMSG_DONE: Final = 3
NLM_F_REQUEST: Final = 0x1
NLM_F_ACK: Final = 0x4
NLM_F_DUMP_INTR: Final = 0x10
NLM_F_REPLACE: Final = 0x100
NLM_F_DUMP: Final = 0x300
NLM_F_EXCL: Final = 0x200
NLM_F_CREATE: Final = 0x400
NLA_F_NESTED: Final = 1 << 15
NLA_TYPE_MASK: Final = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER
# linux/genetlink.h
GENERIC_LENGTH: Final = 4  # struct genlmsghdr

_U32: Final = struct.Struct("=HHI")

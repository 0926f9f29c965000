"""The addresses of sockets of the userspace stack, between libraries and the stack.

Libraries pass and get the tuples of `socket`: two items for IPv4, four for IPv6. The stack knows a
numeric host and a port; in a message an IPv6 address of 16 bytes, where IPv4 addresses are mapped.
"""

from __future__ import annotations

import socket
import struct
from functools import lru_cache
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Any, Final

from holloway.model import MAX_PORT
from holloway.net.stack import WILDCARDS
from holloway.text.address import numeric

if TYPE_CHECKING:
    from holloway.net.stack import Address

HEAD: Final = struct.Struct(">H16s")  # port and address (crates/stack, datagrams.rs)
MAPPED: Final = bytes(10) + b"\xff\xff"
LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


def read_address(address: Any, family: int) -> tuple[str, int]:
    """Return the host and port that a library passes, as the stack takes them.

    Looks names up as `socket` does. Raises TypeError, OverflowError, and socket.gaierror.
    """
    if not isinstance(address, tuple):
        raise _wrong(family, f"be tuple, not {type(address).__name__}")
    if not 2 <= len(address) <= (4 if family == socket.AF_INET6 else 2):
        raise _wrong(family, f"be a tuple (host, port), not of {len(address)} items")
    host, port = address[:2]
    if isinstance(host, (bytes, bytearray)):
        host = host.decode("ascii")
    if not isinstance(host, str) or not isinstance(port, int):
        raise _wrong(family, f"be a tuple of str and int: {address[:2]!r}")
    if not 0 <= port <= MAX_PORT:
        raise OverflowError("port must be 0-65535.")
    return _numeric_host(host, family) or _looked_up(host, family), port


def read_destination(address: Any, family: int) -> tuple[str, int]:
    """Return where a library sends to: as on Linux, the unspecified address is this host."""
    host, port = read_address(address, family)
    return LOOPBACK.get(host, host), port


def _wrong(family: int, what: str) -> TypeError:
    return TypeError(f"{socket.AddressFamily(family).name} address must {what}")


@lru_cache(maxsize=256)
def _numeric_host(host: str, family: int) -> str | None:
    """Return a numeric host of this family as the stack takes it; None for a name."""
    if not host:
        return WILDCARDS[family]
    number = numeric(host)
    if number is None or number.version != (6 if family == socket.AF_INET6 else 4):
        return None
    if isinstance(number, IPv6Address):
        return str(number.ipv4_mapped or number).partition("%")[0]
    return str(number)


def _looked_up(host: str, family: int) -> str:
    (_, _, _, _, (found, *_)), *_ = socket.getaddrinfo(host, 0, family, socket.SOCK_DGRAM)
    return _numeric_host(str(found), family) or str(found)


def to_tuple(address: tuple[str, int], family: int) -> Address:
    """Return an address of the stack as libraries expect it from a socket of this family."""
    host, port = address
    if family != socket.AF_INET6:
        return host, port
    return (host if ":" in host else f"::ffff:{host}"), port, 0, 0


@lru_cache(maxsize=256)
def pack_address(host: str, port: int) -> bytes:
    """Return a numeric address as it stands in a message."""
    if ":" in host:
        return HEAD.pack(port, socket.inet_pton(socket.AF_INET6, host))
    return HEAD.pack(port, MAPPED + socket.inet_pton(socket.AF_INET, host))


@lru_cache(maxsize=256)
def unpack_address(head: bytes, family: int) -> Address:
    """Return the address in a message as libraries expect it from a socket of this family."""
    port, packed = HEAD.unpack(head)
    if family == socket.AF_INET6:
        return socket.inet_ntop(socket.AF_INET6, packed), port, 0, 0
    return socket.inet_ntop(socket.AF_INET, packed[12:]), port

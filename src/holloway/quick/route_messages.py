"""Routes in bulk: rtnetlink messages for thousands of routes, many to a system call.

A general codec takes half a millisecond for a route, which is too long for two thousand. Knows the
bytes of three messages of linux/rtnetlink.h and nothing else; `netlink` uses it.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from holloway.control.netlink import attribute, attributes, messages

if TYPE_CHECKING:
    from holloway.quick.netlink import Route


@dataclass(frozen=True, slots=True)
class RouteMessage:
    """A route: packed destination and its length, table, who made it, link and own MTU."""

    address: bytes
    length: int
    table: int
    protocol: int
    link: int | None
    mtu: int | None


class RouteSocket:
    """An rtnetlink socket of its own; a context manager."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    def add(self, link: int, routes: Sequence[Route]) -> dict[Route, int] | None:
        """Add routes into a link; returns those that are refused with their errno, or None."""
        return self._change(NEWROUTE, CREATE | EXCLUSIVE, link, routes)

    def delete(self, link: int, routes: Sequence[Route]) -> dict[Route, int] | None:
        """Delete routes, of those that were typed; returns as `add`."""
        return self._change(DELROUTE, 0, link, routes)

    def list(self, version: int, *, link: int = 0, table: int = 0) -> list[RouteMessage]:
        """The unicast routes into a link or of a table, or of all; raises OSError."""
        # Else the kernel would send all routes that there are.
        self._socket.setsockopt(SOL_NETLINK, STRICT_CHECK, 1)
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        body = ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
        body += attribute(RTA_OIF, _word(link)) if link else b""
        body += attribute(RTA_TABLE, _word(table)) if table else b""
        size = HEADER.size + len(body)
        self._socket.send(HEADER.pack(size, GETROUTE, REQUEST | DUMP, 0, 0) + body)
        return [found for each in self._dump() if (found := decode(each)) is not None]

    def _dump(self) -> Iterator[bytes]:
        while True:
            for kind, _, _, body in messages(self._socket.recv(RECEIVE_SIZE)):
                if kind == DONE:
                    return
                if kind == ERROR:
                    number = -STATUS.unpack_from(body)[0]
                    raise OSError(number, os.strerror(number))
                yield body

    def _change(
        self, kind: int, flags: int, link: int, routes: Sequence[Route]
    ) -> dict[Route, int] | None:
        refused: dict[Route, int] = {}
        for start in range(0, len(routes), BATCH_SIZE):
            some = routes[start : start + BATCH_SIZE]
            messages = (
                encode(kind, flags | REQUEST | ACKNOWLEDGE, number, link, route)
                for number, route in enumerate(some)
            )
            self._socket.send(b"".join(messages))
            for number, error in self._answers(len(some)):
                if error:
                    refused[some[number]] = error
        return refused or None

    def _answers(self, expected: int) -> Iterator[tuple[int, int]]:
        """The number of each message with the errno that answers it."""
        while expected > 0:
            for kind, _, number, body in messages(self._socket.recv(RECEIVE_SIZE)):
                if kind == ERROR:
                    expected -= 1
                    yield number, -STATUS.unpack_from(body)[0]


def encode(kind: int, flags: int, number: int, link: int, route: Route) -> bytes:
    """Make one message, as ip(8) fills it for `ip route add NETWORK dev NAME table TABLE`."""
    network = route.network
    family = socket.AF_INET if network.version == 4 else socket.AF_INET6
    # A table beyond a byte goes into its attribute (RT_TABLE_COMPAT tells so to old eyes).
    table = route.table if route.table <= 0xFF else TABLE_COMPAT
    scope = SCOPE_LINK if network.version == 4 else SCOPE_UNIVERSE
    adding = kind == NEWROUTE
    body = ROUTE.pack(
        family, network.prefixlen, 0, 0, table, PROTOCOL_BOOT, scope if adding else SCOPE_NOWHERE,
        UNICAST, 0,
    )  # fmt: skip
    body += attribute(RTA_DST, network.network_address.packed)
    body += attribute(RTA_OIF, _word(link)) + attribute(RTA_TABLE, _word(route.table))
    return HEADER.pack(HEADER.size + len(body), kind, flags, number, 0) + body


def decode(body: bytes) -> RouteMessage | None:
    """Read one route of a dump; None if it is not unicast."""
    family, length, _, _, table, protocol, _, kind, _ = ROUTE.unpack_from(body)
    if kind != UNICAST:
        return None
    found = dict(attributes(body[ROUTE.size :]))
    metrics = dict(attributes(found.get(RTA_METRICS, b"")))
    return RouteMessage(
        # A default route carries no destination.
        address=found.get(RTA_DST, bytes(4 if family == socket.AF_INET else 16)),
        length=length,
        table=_number(found.get(RTA_TABLE)) or table,
        protocol=protocol,
        link=_number(found.get(RTA_OIF)),
        mtu=_number(metrics.get(RTAX_MTU)),
    )


def _number(value: bytes | None) -> int | None:
    return None if value is None else int.from_bytes(value, sys.byteorder)


def _word(value: int) -> bytes:
    return struct.pack("=I", value)


# linux/netlink.h
SOL_NETLINK: Final = 270
STRICT_CHECK: Final = 12
HEADER: Final = struct.Struct("=IHHII")
STATUS: Final = struct.Struct("=i")
REQUEST: Final = 0x1
ACKNOWLEDGE: Final = 0x4
EXCLUSIVE: Final = 0x200
CREATE: Final = 0x400
DUMP: Final = 0x300
ERROR: Final = 2
DONE: Final = 3
# linux/rtnetlink.h
ROUTE: Final = struct.Struct("=BBBBBBBBI")
NEWROUTE: Final = 24
DELROUTE: Final = 25
GETROUTE: Final = 26
RTA_DST: Final = 1
RTA_OIF: Final = 4
RTA_METRICS: Final = 8
RTA_TABLE: Final = 15
RTAX_MTU: Final = 2
TABLE_COMPAT: Final = 252
PROTOCOL_BOOT: Final = 3
SCOPE_UNIVERSE: Final = 0
SCOPE_LINK: Final = 253  # what ip(8) gives to routes without `via`
SCOPE_NOWHERE: Final = 255  # in a deletion: any scope
UNICAST: Final = 1

BATCH_SIZE: Final = 100  # so that the answers fit the socket's receive buffer
RECEIVE_SIZE: Final = 1 << 16

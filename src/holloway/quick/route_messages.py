"""Routes in bulk: rtnetlink messages for thousands of routes, many to a system call.

A general encoder takes a millisecond for a route, which is too long for two thousand. Knows the
bytes of RTM_NEWROUTE and RTM_DELROUTE and nothing else; `netlink` uses it.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from holloway.quick.netlink import Route


class Socket:
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

    def _change(
        self, kind: int, flags: int, link: int, routes: Sequence[Route]
    ) -> dict[Route, int] | None:
        refused: dict[Route, int] = {}
        for start in range(0, len(routes), AT_ONCE):
            some = routes[start : start + AT_ONCE]
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
            data = self._socket.recv(RECEIVE_SIZE)
            while data:
                length, kind, _, number, _ = HEADER.unpack_from(data)
                if kind == ERROR:
                    expected -= 1
                    yield number, -STATUS.unpack_from(data, HEADER.size)[0]
                data = data[(length + 3) & ~3 :]


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
    attributes = [
        (RTA_DST, network.network_address.packed),
        (RTA_OIF, struct.pack("=I", link)),
        (RTA_TABLE, struct.pack("=I", route.table)),
    ]
    body += b"".join(ATTRIBUTE.pack(4 + len(value), name) + value for name, value in attributes)
    return HEADER.pack(HEADER.size + len(body), kind, flags, number, 0) + body


# linux/netlink.h
HEADER: Final = struct.Struct("=IHHII")
STATUS: Final = struct.Struct("=i")
REQUEST: Final = 0x1
ACKNOWLEDGE: Final = 0x4
EXCLUSIVE: Final = 0x200
CREATE: Final = 0x400
ERROR: Final = 2
# linux/rtnetlink.h
ROUTE: Final = struct.Struct("=BBBBBBBBI")
ATTRIBUTE: Final = struct.Struct("=HH")
NEWROUTE: Final = 24
DELROUTE: Final = 25
RTA_DST: Final = 1
RTA_OIF: Final = 4
RTA_TABLE: Final = 15
TABLE_COMPAT: Final = 252
PROTOCOL_BOOT: Final = 3
SCOPE_UNIVERSE: Final = 0
SCOPE_LINK: Final = 253  # what ip(8) gives to routes without `via`
SCOPE_NOWHERE: Final = 255  # in a deletion: any scope
UNICAST: Final = 1

AT_ONCE: Final = 100  # so that the answers fit the socket's receive buffer
RECEIVE_SIZE: Final = 1 << 16

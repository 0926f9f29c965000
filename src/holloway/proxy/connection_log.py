"""What a proxy tells of its connections: a line in the log for each, and counters.

Knows no socket. The log says who, where to, how much, how long and how it ended; never what was
said.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from holloway.proxy.networks import Address, format_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from holloway import _native
    from holloway.proxy.relay import Outcome

log = logging.getLogger("holloway.proxy")

HEALTH: Final = "health"
"""The service that tells how it is, and is not told of itself."""


@dataclass(eq=False)
class Connection:
    """One client of a service, from when it came to how it ended.

    `target` is where it wants to go, as it says so.
    """

    service: str
    client: Address
    target: str = ""
    started: float = field(default_factory=time.monotonic)
    _link: _native.RelayPair | None = None

    def follow(self, link: _native.RelayPair) -> None:
        """It has reached its target: this tells how far it is."""
        self._link = link

    def moved(self) -> tuple[int, int]:
        """Bytes from the client to the target, and back, up to now."""
        return (0, 0) if self._link is None else self._link.moved()

    def __str__(self) -> str:
        way = f" > {self.target}" if self.target else ""
        return f"{self.service} {format_address(self.client)}{way}"


class ConnectionLog:
    """Counters of all services, and the log of their connections."""

    def __init__(self, moved: Callable[[], tuple[int, int]]) -> None:
        self.open: dict[Connection, None] = {}
        self.ended: Counter[tuple[str, str]] = Counter()
        self.datagrams: Counter[str] = Counter()
        self._moved = moved

    def begin(self, service: str, client: Address) -> Connection:
        """Note that a client came."""
        connection = Connection(service, client)
        self.open[connection] = None
        return connection

    def end(self, connection: Connection, outcome: Outcome) -> None:
        """Note how a connection ended that had reached its target."""
        self._count(connection, "failed" if outcome.errno else "done")
        seconds = time.monotonic() - connection.started
        log.info(
            "%s: %s, %s up, %s down, %.1f s", connection, outcome,
            format_size(outcome.sent), format_size(outcome.received), seconds,
        )  # fmt: skip

    def fail(self, connection: Connection, kind: str, reason: object) -> None:
        """Note why a connection never reached its target; `kind` is a word for the counters."""
        self._count(connection, kind)
        level = logging.INFO if kind in _HARMLESS else logging.WARNING
        log.log(level, "%s: %s: %s", connection, kind, reason)

    def moved(self) -> tuple[int, int]:
        """Bytes from clients to targets, and back, of connections up to now."""
        return self._moved()

    def open_connections(self) -> int:
        """So many connections are open, without those that ask how it is."""
        return sum(each.service != HEALTH for each in self.open)

    def _count(self, connection: Connection, outcome: str) -> None:
        if self.open.pop(connection, True) is None:
            self.ended[connection.service, outcome] += 1


_HARMLESS: Final = ("dropped", "gone")


def format_size(number: float) -> str:
    """Write a number of bytes for people."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} B" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"

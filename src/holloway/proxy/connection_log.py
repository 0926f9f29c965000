"""The log of a proxy's connections, one line for each, and their counters.

Knows no socket. The log has the client, the target, the number of bytes, the duration and the
outcome of a connection, and never its content.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from holloway.proxy.address import Address, format_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from holloway import _native
    from holloway.proxy.relay import Outcome

log = logging.getLogger("holloway.proxy")

HEALTH: Final = "health"
"""The health page's service, whose own connections are not counted."""


@dataclass(eq=False)
class Connection:
    """One connection of a client to a service.

    `target` is where the client wants to go, in its own words. `sent_directly` are bytes from the
    client to the target that do not pass through the relay, such as a rewritten request.
    """

    service: str
    client: Address
    target: str = ""
    sent_directly: int = 0
    started: float = field(default_factory=time.monotonic)
    _link: _native.RelayPair | None = None

    def follow(self, link: _native.RelayPair) -> None:
        """Note that the client has reached its target; `link` counts the bytes from now on."""
        self._link = link

    def moved(self) -> tuple[int, int]:
        """Return the bytes from the client to the target, and back, so far."""
        sent, received = (0, 0) if self._link is None else self._link.moved()
        return self.sent_directly + sent, received

    def __str__(self) -> str:
        target = f" > {self.target}" if self.target else ""
        return f"{self.service} {format_address(self.client)}{target}"


class ConnectionLog:
    """The counters and the log of the connections of all services."""

    def __init__(self, moved: Callable[[], tuple[int, int]]) -> None:
        self.open: dict[Connection, None] = {}
        self.ended: Counter[tuple[str, str]] = Counter()
        self.datagrams: Counter[str] = Counter()
        self._moved = moved

    def begin(self, service: str, client: Address) -> Connection:
        """Note that a client has connected."""
        connection = Connection(service, client)
        self.open[connection] = None
        return connection

    def end(self, connection: Connection, outcome: Outcome) -> None:
        """Log and count how a connection ended whose client had reached its target."""
        self._count(connection, "failed" if outcome.errno else "done")
        if not log.isEnabledFor(logging.INFO):
            return
        seconds = time.monotonic() - connection.started
        log.info(
            "%s: %s, %s up, %s down, %.1f s", connection, outcome,
            format_size(outcome.sent), format_size(outcome.received), seconds,
        )  # fmt: skip

    def fail(self, connection: Connection, kind: str, reason: object) -> None:
        """Log and count why a client did not reach its target; `kind` is the counter's label."""
        self._count(connection, kind)
        level = logging.INFO if kind in _HARMLESS else logging.WARNING
        log.log(level, "%s: %s: %s", connection, kind, reason)

    def moved(self) -> tuple[int, int]:
        """Return the bytes from clients to targets, and back, of all connections so far."""
        return self._moved()

    def open_connections(self) -> int:
        """Return the number of open connections, without those to the health page."""
        return sum(each.service != HEALTH for each in self.open)

    def _count(self, connection: Connection, outcome: str) -> None:
        if self.open.pop(connection, True) is None:
            self.ended[connection.service, outcome] += 1


_HARMLESS: Final = ("dropped", "gone")


def format_size(number: float) -> str:
    """Write a number of bytes with a unit, as in `2.1 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} B" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"

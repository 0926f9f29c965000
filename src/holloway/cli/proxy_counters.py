"""A proxy's live counters in the last lines of a terminal, with the log above them.

Each of the busiest connections has a line, and so have the sums. This module reads the connection
log; Rich draws on the terminal.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.constrain import Constrain
from rich.live import Live
from rich.table import Table
from rich.text import Text

from holloway.model import SECOND
from holloway.proxy.connection_log import format_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holloway.net.network import Network
    from holloway.proxy.connection_log import Connection, ConnectionLog

Moved = tuple[int, int]
"""Bytes up and down."""

INTERVAL: Final = 1.0  # seconds
MAX_CONNECTIONS: Final = 8
RESERVED_LINES: Final = 4
"""Lines for the heading, the sums (up to two) and the log."""
WIDE: Final = 110
MEDIUM: Final = 80
NARROW: Final = 60
"""Columns of a terminal: a narrower one shows less of each connection."""


class Counters:
    """Draws the counters until closed. Create it in the event loop, after the log's handlers."""

    def __init__(self, connection_log: ConnectionLog, network: Network) -> None:
        self._connection_log = connection_log
        self._network = network
        self._last: dict[Connection, Moved] = {}
        self._sum = connection_log.moved()
        self._console = Console(stderr=True, markup=False, emoji=False, highlight=False)
        self._live = Live(
            console=self._console, auto_refresh=False, transient=True,
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self._live.start()
        self._console.show_cursor(True)  # so that it is visible however the program ends
        self._streams = [
            (handler, handler.setStream(_LogStream(self._console)))
            for handler in logging.getLogger().handlers
            if isinstance(handler, logging.StreamHandler)
        ]
        self._task = asyncio.create_task(self._run())

    def close(self) -> None:
        """Remove the counters from the terminal."""
        self._task.cancel()
        self._live.stop()
        for handler, stream in self._streams:
            handler.setStream(stream)

    async def _run(self) -> None:
        while True:
            # Leave room for "^C", which would wrap a full line and leave it on the terminal.
            self._live.update(Constrain(self._table(), self._console.width - 2), refresh=True)
            await asyncio.sleep(INTERVAL)

    def _table(self) -> Table:
        width, height = self._console.size
        is_wide = width >= WIDE
        gap = (0, 2 if is_wide else 1, 0, 0)
        table = Table(box=None, padding=gap, pad_edge=False, header_style="reverse")
        for name in _fitting([name for name, _ in NUMBERS], width):
            table.add_column(name, justify="right", min_width=9, no_wrap=True)
        table.add_column("connection")
        for connection, numbers in self._busiest(max(0, height - RESERVED_LINES)):
            name = str(connection) if width >= MEDIUM else connection.target
            text = Text(name, no_wrap=True, overflow="ellipsis")
            table.add_row(*_fitting(numbers, width), text)
        state = (", " if is_wide else "\n").join(self._state())
        table.add_row(*_fitting(self._sums(), width), state, style="bold")
        return table

    def _busiest(self, most: int) -> Iterator[tuple[Connection, list[str]]]:
        now = {each: each.moved() for each in self._connection_log.open}
        rates = {each: _rates(moved, self._last.get(each, (0, 0))) for each, moved in now.items()}
        self._last = now
        busy = [each for each in now if any(rates[each])]
        busy.sort(key=lambda each: sum(rates[each]), reverse=True)
        for each in busy[: min(most, MAX_CONNECTIONS)]:
            age = f"{time.monotonic() - each.started:.0f} s"
            yield each, _numbers(now[each], rates[each], age)

    def _sums(self) -> list[str]:
        before, self._sum = self._sum, self._connection_log.moved()
        return _numbers(self._sum, _rates(self._sum, before), "")

    def _state(self) -> tuple[str, str]:
        ended = self._connection_log.ended
        done = sum(count for (_, outcome), count in ended.items() if outcome == "done")
        latest = max((peer.latest_handshake for peer in self._network.device.peers), default=0)
        age = f"{time.time() - latest / SECOND:.0f} s ago" if latest else "none yet"
        failed = sum(ended.values()) - done
        return (
            f"{self._connection_log.open_connections()} open, {done} done, {failed} failed",
            f"handshake {age}",
        )


class _LogStream:
    """A stream that writes the log above the counters."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, text: str) -> None:
        self._console.print(text.removesuffix("\n"), soft_wrap=True)

    def flush(self) -> None:
        """Do nothing: there is no buffer."""


NUMBERS: Final = (("up", 0), ("up/s", NARROW), ("down", 0), ("down/s", NARROW), ("age", WIDE))
"""The columns of numbers, and the terminal width that each needs."""


def _numbers(moved: Moved, rates: Moved, age: str) -> list[str]:
    up, down = moved
    return [
        format_size(up),
        format_size(rates[0] / INTERVAL),
        format_size(down),
        format_size(rates[1] / INTERVAL),
        age,
    ]


def _rates(now: Moved, before: Moved) -> Moved:
    return now[0] - before[0], now[1] - before[1]


def _fitting(cells: list[str], width: int) -> list[str]:
    """Return the cells for which the terminal is wide enough."""
    return [cell for cell, (_, least) in zip(cells, NUMBERS, strict=True) if width >= least]

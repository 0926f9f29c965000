"""The end of a terminal as a proxy's live counters; the log goes on above them.

The busiest connections, a line each, and a line for all. Knows the terminal and the journal.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
import time
from typing import TYPE_CHECKING, Final

from holloway.proxy.journal import size

if TYPE_CHECKING:
    from holloway.net.network import Network
    from holloway.proxy.journal import Connection, Journal

INTERVAL: Final = 1.0
BUSIEST: Final = 8


class Counters:
    """Draws until closed. Make it inside the event loop."""

    def __init__(self, journal: Journal, network: Network) -> None:
        self._journal = journal
        self._network = network
        self._loop = asyncio.get_running_loop()
        self._last: dict[Connection, tuple[int, int]] = {}
        self._sum = journal.moved()
        self._lines: list[str] = []
        self._height = 0
        self._handlers = list(logging.getLogger().handlers)
        for handler in self._handlers:
            handler.addFilter(self._make_room)
        self._task = asyncio.create_task(self._run())

    def close(self) -> None:
        self._task.cancel()
        for handler in self._handlers:
            handler.removeFilter(self._make_room)
        self._lines = []
        self._draw()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            self._lines = [*self._busiest(), self._total()]
            self._draw()

    def _make_room(self, record: logging.LogRecord) -> bool:
        """Take the counters away for a line of the log, and put them below it."""
        del record
        self._erase()
        self._loop.call_soon_threadsafe(self._draw)
        return True

    def _erase(self) -> None:
        up = f"\x1b[{self._height - 1}A" if self._height > 1 else ""
        sys.stderr.write(f"\r{up}\x1b[J" if self._height else "")
        sys.stderr.flush()
        self._height = 0

    def _draw(self) -> None:
        self._erase()
        width = shutil.get_terminal_size().columns - 1
        sys.stderr.write("\n".join(line[:width] for line in self._lines))
        sys.stderr.flush()
        self._height = len(self._lines)

    def _busiest(self) -> list[str]:
        now = {each: each.moved() for each in self._journal.open}
        rates = {
            each: sum(moved) - sum(self._last.get(each, (0, 0))) for each, moved in now.items()
        }
        self._last = now
        busiest = sorted(rates, key=lambda each: rates[each], reverse=True)[:BUSIEST]
        return [
            f"  {each}: {size(now[each][0])} up, {size(now[each][1])} down,"
            f" {size(rates[each] / INTERVAL)}/s, {time.monotonic() - each.started:.0f} s"
            for each in busiest
            if rates[each]
        ]

    def _total(self) -> str:
        up, down = self._journal.moved()
        before, self._sum = self._sum, (up, down)
        ended = self._journal.ended
        done = sum(count for (_, outcome), count in ended.items() if outcome == "done")
        latest = max((peer.latest_handshake for peer in self._network.device.peers), default=0)
        age = f"{time.time() - latest / 10**9:.0f} s ago" if latest else "none yet"
        return (
            f"{len(self._journal.open)} open, {done} done, {sum(ended.values()) - done} failed"
            f" | up {size(up)} ({size((up - before[0]) / INTERVAL)}/s)"
            f", down {size(down)} ({size((down - before[1]) / INTERVAL)}/s) | handshake {age}"
        )

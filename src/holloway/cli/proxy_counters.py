"""The last line of a terminal as a proxy's live counters; the log goes on above it."""

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
    from holloway.proxy.journal import Journal

INTERVAL: Final = 1.0
CLEAR: Final = "\r\x1b[K"


class Counters:
    """Draws until closed. Make it inside the event loop."""

    def __init__(self, journal: Journal, network: Network) -> None:
        self._journal = journal
        self._network = network
        self._last = journal.moved()
        self._task = asyncio.create_task(self._run())
        self._handlers = logging.getLogger().handlers
        for handler in self._handlers:
            handler.addFilter(_clear)

    def close(self) -> None:
        self._task.cancel()
        for handler in self._handlers:
            handler.removeFilter(_clear)
        sys.stderr.write(CLEAR)
        sys.stderr.flush()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write(f"{CLEAR}{self._line()[:width]}")
            sys.stderr.flush()

    def _line(self) -> str:
        moved = self._journal.moved()
        rates = [(now - then) / INTERVAL for now, then in zip(moved, self._last, strict=True)]
        self._last = moved
        ended = self._journal.ended
        done = sum(count for (_, outcome), count in ended.items() if outcome == "done")
        handshakes = [peer.latest_handshake for peer in self._network.device.peers]
        latest = max(handshakes, default=0)
        age = f"{time.time() - latest / 10**9:.0f} s ago" if latest else "none yet"
        return (
            f"{len(self._journal.open)} open, {done} done, {sum(ended.values()) - done} failed"
            f" | up {size(moved[0])} ({size(rates[0])}/s)"
            f", down {size(moved[1])} ({size(rates[1])}/s) | handshake {age}"
        )


def _clear(record: logging.LogRecord) -> bool:
    """Take the counters off the line that the record is about to be written to."""
    del record
    sys.stderr.write(CLEAR)
    return True

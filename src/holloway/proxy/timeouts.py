"""Timeouts of one length for many items, with one timer.

`asyncio.timeout` makes a timer for each, which costs more than most clients' requests.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Item = TypeVar("Item")


class Timeouts(Generic[Item]):
    """Calls `expire` with each item that was not removed within so many seconds."""

    def __init__(self, seconds: float, expire: Callable[[Item], None]) -> None:
        self.seconds = seconds
        self._expire = expire
        self._deadlines: dict[Item, float] = {}  # in their order
        self._timer: asyncio.TimerHandle | None = None

    def add(self, item: Item) -> None:
        """Start the time of an item, or start it again."""
        loop = asyncio.get_running_loop()
        self._deadlines.pop(item, None)
        deadline = self._deadlines[item] = loop.time() + self.seconds
        if self._timer is None:
            self._timer = loop.call_at(deadline, self._take_expired, loop)

    def remove(self, item: Item) -> None:
        """End the time of an item, if it is still running."""
        self._deadlines.pop(item, None)

    def close(self) -> None:
        """Let nothing expire any more."""
        self._deadlines.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _take_expired(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        while self._deadlines:
            item, deadline = next(iter(self._deadlines.items()))
            if deadline > now:
                self._timer = loop.call_at(deadline, self._take_expired, loop)
                return
            del self._deadlines[item]
            self._expire(item)

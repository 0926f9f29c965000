"""The deadlines of a device's peers, in one heap with the earliest first.

The plane keeps the debts of packets; the brain keeps these three deadlines per peer
(docs/explanation/timers.md). There is no clock here: the shell calls back at `next_timeout`.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterator
from enum import Enum, auto
from itertools import count
from typing import Generic, TypeVar

from holloway.core.constants import Nanoseconds


class Timer(Enum):
    """The purpose of a peer's deadline."""

    ERASE = auto()
    """540 s after the last new session: zero all keys (paper, 6.3; kernel zero_key_material)."""
    LOOK = auto()
    """When to collect debts again, as the plane asked, or when an initiation is allowed again."""
    RETRANSMIT = auto()
    """5 s and jitter after an initiation: retry (paper, 6.4; kernel retransmit_handshake)."""


Owner = TypeVar("Owner", bound=Hashable)


class Timers(Generic[Owner]):
    """At most one deadline per owner and timer.

    A deadline that moves later keeps its heap entry, which is corrected when it reaches the top. So
    the heap does not grow with every new session.
    """

    def __init__(self) -> None:
        self._deadlines: dict[tuple[Owner, Timer], Nanoseconds] = {}
        self._heap: list[tuple[Nanoseconds, int, tuple[Owner, Timer]]] = []
        self._queued: dict[tuple[Owner, Timer], Nanoseconds] = {}
        self._order = count()

    def set(self, owner: Owner, timer: Timer, deadline: Nanoseconds) -> None:
        """Set or move a deadline."""
        key = (owner, timer)
        self._deadlines[key] = deadline
        queued = self._queued.get(key)
        if queued is None or queued > deadline:
            self._push(key, deadline)

    def cancel(self, owner: Owner, timer: Timer) -> None:
        """Remove a deadline if it is set."""
        self._deadlines.pop((owner, timer), None)

    def forget(self, owner: Owner) -> None:
        """Remove every deadline of an owner."""
        for timer in Timer:
            self.cancel(owner, timer)

    def deadline(self, owner: Owner, timer: Timer) -> Nanoseconds | None:
        """Return when this timer expires, or None if it is not set."""
        return self._deadlines.get((owner, timer))

    def next_timeout(self) -> Nanoseconds | None:
        """Return the earliest deadline, or None if none is set."""
        heap = self._heap
        while heap:
            queued, _, key = heap[0]
            deadline = self._deadlines.get(key)
            if deadline == queued:
                return deadline
            heapq.heappop(heap)
            if self._queued.get(key) != queued:
                continue  # an earlier entry replaced it
            del self._queued[key]
            if deadline is not None:
                self._push(key, deadline)
        return None

    def expired(self, now: Nanoseconds) -> Iterator[tuple[Owner, Timer]]:
        """Remove and yield the expired deadlines, the earliest first.

        One at a time, because the caller's handling of one may cancel or move the next.
        """
        while (earliest := self.next_timeout()) is not None and earliest <= now:
            _, _, key = heapq.heappop(self._heap)
            self._queued.pop(key, None)
            del self._deadlines[key]
            yield key

    def _push(self, key: tuple[Owner, Timer], deadline: Nanoseconds) -> None:
        if len(self._heap) > 64 + 4 * len(self._deadlines):
            self._compact()
        self._queued[key] = deadline
        heapq.heappush(self._heap, (deadline, next(self._order), key))

    def _compact(self) -> None:
        """Remove the stale entries of deadlines that were cancelled or moved earlier."""
        self._queued = dict(self._deadlines)
        self._heap = [(deadline, next(self._order), key) for key, deadline in self._queued.items()]
        heapq.heapify(self._heap)

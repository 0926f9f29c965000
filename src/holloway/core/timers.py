"""The deadlines of a device's peers: one heap, the earliest first.

The plane keeps what packets owe; the brain keeps these three per peer (architecture, "Timers
without Python per packet"). Knows no clock: the shell asks `next_timeout` and calls back then.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterator
from enum import Enum, auto
from itertools import count
from typing import Generic, TypeVar

from holloway.core.constants import Nanoseconds


class Timer(Enum):
    """What a deadline of a peer is for."""

    ERASE = auto()
    """540 s after a session was derived: zero all keys (paper, 6.3; kernel zero_key_material)."""
    LOOK = auto()
    """When the plane said to look at its debts again, or an initiation is allowed again."""
    RETRANSMIT = auto()
    """5 s and jitter after an initiation: try again (paper, 6.4; kernel retransmit_handshake)."""


Owner = TypeVar("Owner", bound=Hashable)


class Timers(Generic[Owner]):
    """At most one deadline per owner and timer.

    A deadline moved later leaves its heap entry where it is, to be put right when it comes up, so
    that the heap does not grow with every session derived.
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
        """Drop a deadline if it is set."""
        self._deadlines.pop((owner, timer), None)

    def forget(self, owner: Owner) -> None:
        """Drop every deadline of an owner."""
        for timer in Timer:
            self.cancel(owner, timer)

    def deadline(self, owner: Owner, timer: Timer) -> Nanoseconds | None:
        """Return when this timer is to expire, None where it is not set."""
        return self._deadlines.get((owner, timer))

    def next_timeout(self) -> Nanoseconds | None:
        """Return the earliest deadline of all, None where none is set."""
        heap = self._heap
        while heap:
            queued, _, key = heap[0]
            deadline = self._deadlines.get(key)
            if deadline == queued:
                return deadline
            heapq.heappop(heap)
            if self._queued.get(key) != queued:
                continue  # an earlier entry took over its part
            del self._queued[key]
            if deadline is not None:
                self._push(key, deadline)
        return None

    def expired(self, now: Nanoseconds) -> Iterator[tuple[Owner, Timer]]:
        """Take the deadlines that have come, in their order.

        One at a time: what is done about one may cancel or move the next.
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
        """Drop the entries that deadlines moved earlier or cancelled have left behind."""
        self._queued = dict(self._deadlines)
        self._heap = [(deadline, next(self._order), key) for key, deadline in self._queued.items()]
        heapq.heapify(self._heap)

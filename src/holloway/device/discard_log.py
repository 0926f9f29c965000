"""Logs what a device discards, from its counters.

While the log is at level verbose, the counters are compared once a second. At other levels nothing
runs, so an idle device does not wake up. It never sees packets. `tunnel` has one.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from holloway.device.event_loop import EventLoop, TimerHandle
    from holloway.text.discards import Counts

    OfPeers = Iterable[tuple[int, str, Counts]]
    """The number, name and counts of each peer that has any."""

log = logging.getLogger(__name__)

INTERVAL_SECONDS: Final = 1.0
LOGGED_BY_ITSELF: Final = frozenset({"no_peer", "no_endpoint"})
"""Reasons for which the plane reports single packets, with their addresses."""


class DiscardLog:
    """Compares the counters of one device and logs the differences."""

    def __init__(
        self, loop: EventLoop, of_device: Callable[[], Counts], of_peers: Callable[[], OfPeers]
    ) -> None:
        self._loop = loop
        self._of_device = of_device
        self._of_peers = of_peers
        self._timer: TimerHandle | None = None
        self._device: Counter[str] = Counter()
        self._peers: dict[int, Counter[str]] = {}

    def enable(self, wanted: bool) -> None:
        """Start logging what is discarded from now on, or stop."""
        if wanted == (self._timer is not None):
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            return
        self._device = Counter(self._of_device())
        self._peers = {number: Counter(counts) for number, _, counts in self._of_peers()}
        self._timer = self._loop.call_later(INTERVAL_SECONDS, self._compare)

    def _compare(self) -> None:
        self._timer = self._loop.call_later(INTERVAL_SECONDS, self._compare)
        device = Counter(self._of_device())
        new = device - self._device
        if not new:
            return
        of_peers = self._log_peers()
        for reason, count in (new - of_peers).items():
            _log(reason, count, "")
        # What was counted for a peer after the device was read is logged already.
        self._device = device + (of_peers - new)

    def _log_peers(self) -> Counter[str]:
        """Log what is new for each peer; return the sum over all peers."""
        total: Counter[str] = Counter()
        for number, name, counts in self._of_peers():
            new = Counter(counts) - self._peers.get(number, Counter())
            for reason, count in new.items():
                _log(reason, count, f" of peer {name}")
            self._peers[number] = Counter(counts)
            total += new
        return total


def _log(reason: str, count: int, place: str) -> None:
    if reason not in LOGGED_BY_ITSELF:
        from holloway.text.discards import explanation

        # Each reason is a separate message for the rate limit.
        message = f"Discarded %d %s%s: {reason} ({explanation(reason)})"
        log.debug(message, count, "packet" if count == 1 else "packets", place)

"""The last initiation to each peer, also of devices that are gone.

A responder discards an initiation that comes less than 20 ms after the previous one of the same
peer, or whose timestamp is not greater, and the initiator tries again after five seconds. A program
that closes a network and opens it again is as fast as that. So all devices of a process share one
`SentInitiations`, and a new device waits and counts on from the one before it. Any thread may use
it: the devices may belong to several event loops.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

from holloway.core.constants import INITIATION_INTERVAL, Nanoseconds

SPACING: Final = Nanoseconds(2 * INITIATION_INTERVAL)
"""Between the initiations of two devices: the responder's clock ticks, and the link's delay varies.

The kernel reads a coarse clock, whose tick is up to 10 ms.
"""
MAX_PAIRS: Final = 1024


class LastInitiation(NamedTuple):
    """When it was sent, and its whitened wall time (`tai64n`)."""

    sent_at: Nanoseconds
    timestamp: int


class SentInitiations:
    """The last initiation of each pair of static public keys, ours first; the latest 1024 pairs."""

    def __init__(self) -> None:
        # Needs no lock: each step is one operation of the dictionary, and their order is harmless.
        self._last: OrderedDict[tuple[bytes, bytes], LastInitiation] = OrderedDict()

    def record(self, own: bytes, peer: bytes, last: LastInitiation) -> None:
        """Remember an initiation that is sent now."""
        self._last.pop((own, peer), None)
        self._last[own, peer] = last
        if len(self._last) > MAX_PAIRS:
            self._last.popitem(last=False)

    def last(self, own: bytes, peer: bytes) -> LastInitiation:
        """Return the last initiation of a pair; one long ago if there was none."""
        return self._last.get((own, peer), LONG_AGO)


LONG_AGO: Final = LastInitiation(Nanoseconds(-SPACING), 0)

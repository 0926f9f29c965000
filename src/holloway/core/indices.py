"""Session indices: random 32-bit numbers, unique on a device (paper, 5.4.2).

A response names the index of its initiation. This module knows no message and no key; peers
allocate and hold indices.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from holloway.core.constants import Nanoseconds

Owner = TypeVar("Owner")


class Indices(Generic[Owner]):
    """The owners that await a response, by index, and the indices that sessions still use."""

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._awaiting: dict[int, Owner] = {}
        self._held: set[int] = set()
        self._releases: deque[tuple[Nanoseconds, int]] = deque()

    def allocate(self, now: Nanoseconds) -> int:
        """Return a random index that is not in use on this device."""
        while self._releases and self._releases[0][0] <= now:
            self._held.discard(self._releases.popleft()[1])
        while True:
            index = int.from_bytes(self._random(4), "little")
            if index not in self._held and index not in self._awaiting:
                return index

    def expect(self, index: int, owner: Owner) -> None:
        """Expect a response that names `index`, for `owner`."""
        self._awaiting[index] = owner

    def release(self, index: int) -> None:
        """Stop expecting a response that names `index`."""
        self._awaiting.pop(index, None)

    def hold(self, index: int, until: Nanoseconds) -> None:
        """Do not allocate `index` until its session is dead; `until` never decreases."""
        self._held.add(index)
        self._releases.append((until, index))

    def awaiting(self, index: int) -> Owner | None:
        """Return the owner that expects a response that names `index`, or None."""
        return self._awaiting.get(index)

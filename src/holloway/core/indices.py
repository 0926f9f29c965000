"""Session indices: random 32-bit numbers, each in use once on a device (paper, 5.4.2).

A response finds its initiation by them. Knows no message and no key; peers allocate and hold.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from holloway.core.constants import Nanoseconds

Owner = TypeVar("Owner")


class Indices(Generic[Owner]):
    """Who awaits a response under which index, and which indices sessions still have."""

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._awaiting: dict[int, Owner] = {}
        self._held: set[int] = set()
        self._releases: deque[tuple[Nanoseconds, int]] = deque()

    def allocate(self, now: Nanoseconds) -> int:
        """Return a random index that nothing on this device has."""
        while self._releases and self._releases[0][0] <= now:
            self._held.discard(self._releases.popleft()[1])
        while True:
            index = int.from_bytes(self._random(4), "little")
            if index not in self._held and index not in self._awaiting:
                return index

    def expect(self, index: int, owner: Owner) -> None:
        """Let a response that names `index` find `owner`."""
        self._awaiting[index] = owner

    def release(self, index: int) -> None:
        """Expect no response under `index` any longer."""
        self._awaiting.pop(index, None)

    def hold(self, index: int, until: Nanoseconds) -> None:
        """Keep `index` from being allocated while its session may live; `until` never goes back."""
        self._held.add(index)
        self._releases.append((until, index))

    def awaiting(self, index: int) -> Owner | None:
        """Return who expects a response under `index`."""
        return self._awaiting.get(index)

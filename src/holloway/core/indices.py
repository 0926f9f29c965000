"""Session indices: random 32-bit numbers, unique on a device (paper, 5.4.2).

A response names the index of its initiation. The plane keeps the indices of sessions, because it
drops the sessions; this module keeps those that await a response. It knows no message and no key;
peers allocate them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

Owner = TypeVar("Owner")


class Indices(Generic[Owner]):
    """The owners that await a response, by index; `is_used` says which indices the plane has."""

    def __init__(self, random: Callable[[int], bytes], is_used: Callable[[int], bool]) -> None:
        self._random = random
        self._is_used = is_used
        self._awaiting: dict[int, Owner] = {}

    def allocate(self, steer: Callable[[int], int]) -> int:
        """Return a random index that is not in use on this device, as `steer` changes it.

        The plane chooses by its low byte which thread gets the session.
        """
        while True:
            index = steer(int.from_bytes(self._random(4), "little"))
            if index not in self._awaiting and not self._is_used(index):
                return index

    def expect(self, index: int, owner: Owner) -> None:
        """Expect a response that names `index`, for `owner`."""
        self._awaiting[index] = owner

    def release(self, index: int) -> None:
        """Stop expecting a response that names `index`."""
        self._awaiting.pop(index, None)

    def awaiting(self, index: int) -> Owner | None:
        """Return the owner that expects a response that names `index`, or None."""
        return self._awaiting.get(index)

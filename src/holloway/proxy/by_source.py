"""Items by the source that they come from, so that whoever has most of them loses one first."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)


class BySource(Generic[Item]):
    """A collection of items; those of one source are in the order of their last use."""

    def __init__(self) -> None:
        self._sources: dict[Hashable, dict[Item, None]] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, source: Hashable, item: Item) -> None:
        """Add an item, or note that it is in use."""
        items = self._sources.setdefault(source, {})
        if item in items:
            del items[item]
        else:
            self._size += 1
        items[item] = None

    def discard(self, source: Hashable, item: Item) -> bool:
        """Remove an item; returns whether it was there."""
        items = self._sources.get(source)
        if items is None or item not in items:
            return False
        del items[item]
        if not items:
            del self._sources[source]
        self._size -= 1
        return True

    def oldest(self) -> tuple[Hashable, Item]:
        """Return the source that has most items, and its oldest one."""
        source = max(self._sources, key=lambda each: len(self._sources[each]))
        return source, next(iter(self._sources[source]))

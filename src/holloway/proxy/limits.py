"""How many connections a proxy serves, and which clients have to wait or are refused.

A place stands for the descriptors of one connection. All listeners of a proxy share its places, but
none of them, and no single client, can take those of all others. Knows neither sockets nor
protocols.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Hashable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from holloway.proxy.by_source import BySource
from holloway.proxy.timeouts import Timeouts

if TYPE_CHECKING:
    from collections.abc import Callable

    from holloway.proxy.client import Client

REQUEST_TIMEOUT: Final = 10.0
"""Seconds in which a client has to make its request."""

MAX_PENDING: Final = 256
"""Clients that have not made their request yet; one more, and one of them is dropped."""

HEALTH_CONNECTIONS: Final = 16
"""Places of the health page, which has them for itself."""

RESERVED_FRACTION: Final = 4
"""A quarter of all places is divided among the listeners as their own."""


class ConnectionLimits:
    """Shared by all acceptors of a proxy."""

    def __init__(
        self,
        *,
        max_connections: int | None = None,
        request_timeout: float = REQUEST_TIMEOUT,
        max_pending: int = MAX_PENDING,
    ) -> None:
        self.capacity = max_connections or connection_capacity()
        self.request_timeouts: Timeouts[Client] = Timeouts(
            request_timeout, lambda client: client.time_out()
        )
        self.pending = 0
        """How many clients have made no request yet."""
        self._max_pending = min(max_pending, self.capacity - self.capacity // 4)
        self._listeners: list[Places] = []
        self._waiting: list[asyncio.Future[None]] = []

    def add_listener(self, source_of: Callable[[str], Hashable]) -> Places:
        """Return the places of another listener; `source_of` is `ProxyNetwork.source_of`."""
        places = Places(self, source_of)
        self._listeners.append(places)
        return places

    def free(self, places: Places) -> int:
        """Return how many more places a listener may take; each other one keeps its reserve."""
        reserve = self.capacity // (RESERVED_FRACTION * len(self._listeners))
        taken = places.used
        for each in self._listeners:  # a loop, because this is called for each connection
            if each is not places:
                taken += each.used if each.used > reserve else reserve
        return self.capacity - taken

    async def place_released(self) -> None:
        """Wait until a connection has ended."""
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        await waiting

    def wake(self) -> None:
        """Let the waiting listeners look for a place again."""
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if not each.done():
                each.set_result(None)

    def make_pending_room(self) -> None:
        """Drop the oldest client of whoever has most pending ones, if there are too many."""
        if self.pending >= self._max_pending:
            places = max(self._listeners, key=lambda each: len(each.pending))
            _, client = places.pending.oldest()
            places.remove_pending(client)
            client.drop()


class Places:
    """The places of one listener."""

    def __init__(self, limits: ConnectionLimits, source_of: Callable[[str], Hashable]) -> None:
        self.used = 0
        self.pending: BySource[Client] = BySource()
        """The clients that have made no request yet."""
        self.source_of = source_of
        self._limits = limits
        self._held: dict[Hashable, int] = {}

    async def acquire(self) -> None:
        """Take a place, as soon as there is one."""
        while not self.try_acquire():
            await self._limits.place_released()

    def try_acquire(self) -> bool:
        """Take a place; returns whether there was one."""
        if self._limits.free(self) <= 0:
            return False
        self.used += 1
        return True

    def release(self) -> None:
        """Give a place back."""
        self.used -= 1
        self._limits.wake()

    def hold(self, source: Hashable) -> bool:
        """Note that a place that was taken is for this source; False if it has too many.

        A source may have as many places as it leaves free, so that there are always some for
        another one. This host itself, None, may have all.
        """
        held = self._held.get(source, 0)
        if source is not None and held > self._limits.free(self):
            return False
        self._held[source] = held + 1
        return True

    def let_go(self, source: Hashable) -> None:
        """Note that a place is not for this source any more."""
        self._held[source] -= 1
        if not self._held[source]:
            del self._held[source]

    def add_pending(self, client: Client) -> None:
        """Add a client that has made no request yet; may drop another one."""
        self._limits.make_pending_room()
        self._limits.pending += 1
        self.pending.add(client.source, client)
        self._limits.request_timeouts.add(client)

    def remove_pending(self, client: Client) -> None:
        """Remove a client that has made its request, or has left."""
        if self.pending.discard(client.source, client):
            self._limits.pending -= 1
            self._limits.request_timeouts.remove(client)


def connection_capacity(descriptors_each: int = 3) -> int:
    """Return how many connections there are descriptors for; raises the soft limit first.

    A connection has two sockets, and with the userspace stack the other end of one of them.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return max(16, (min(soft, _MAX_DESCRIPTORS) - _RESERVED_DESCRIPTORS) // descriptors_each)


_MAX_DESCRIPTORS: Final = 65_536
_RESERVED_DESCRIPTORS: Final = 128
"""For the health page, the rest of the program, and a connection while the relay takes it over."""

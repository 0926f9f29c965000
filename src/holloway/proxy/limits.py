"""How many connections a proxy serves, and how long a client may take to make its request.

Shared by all acceptors of a proxy. Knows neither sockets nor protocols.
"""

from __future__ import annotations

import asyncio
import resource
from contextlib import suppress
from typing import Final

REQUEST_TIMEOUT: Final = 10.0
"""Seconds in which a client has to make its request."""

MAX_PENDING: Final = 256
"""Clients that have not made their request yet; one more, and the oldest is dropped."""


class ConnectionLimits:
    """Shared by all acceptors of a proxy."""

    def __init__(
        self,
        *,
        max_connections: int | None = None,
        request_timeout: float = REQUEST_TIMEOUT,
        max_pending: int = MAX_PENDING,
    ) -> None:
        self.slots = asyncio.Semaphore(max_connections or connection_capacity())
        self.request_timeout = request_timeout
        self._max_pending = max_pending
        self._pending: dict[asyncio.Task[None], None] = {}

    def add_pending(self, task: asyncio.Task[None]) -> None:
        """Add the task of a client that has made no request yet; may cancel the oldest one."""
        if len(self._pending) >= self._max_pending:
            oldest = next(iter(self._pending))
            self.remove_pending(oldest)
            oldest.cancel()
        self._pending[task] = None

    def remove_pending(self, task: asyncio.Task[None]) -> None:
        """Remove a task whose client has made its request, or has left."""
        self._pending.pop(task, None)


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
"""For the rest of the program, and for a connection while the relay takes it over."""

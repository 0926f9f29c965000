"""Waits until sockets are readable, at a lower price than asyncio.

asyncio registers a socket with its selector for each wait and removes it again. Here one system
call begins a wait and none ends it: the event itself disarms the registration (EPOLLONESHOT).
"""

from __future__ import annotations

import asyncio
import select
from typing import Final


class Readiness:
    """A set of sockets that are waited for. Make it inside the event loop that uses it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._loop.add_reader(self._epoll.fileno(), self._take)

    def close(self) -> None:
        """Wait for nothing any more."""
        if self._epoll.closed:
            return
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    async def readable(self, descriptor: int) -> None:
        """Wait until a socket has bytes to read, or has ended. Closing the socket forgets it."""
        waiting = self._waiting[descriptor] = self._loop.create_future()
        try:
            try:
                self._epoll.register(descriptor, READABLE)
            except FileExistsError:
                self._epoll.modify(descriptor, READABLE)
            await waiting
        finally:
            self._waiting.pop(descriptor, None)

    def _take(self) -> None:
        for descriptor, _ in self._epoll.poll(0):
            # The socket of a wait that was cancelled may still be registered.
            waiting = self._waiting.get(descriptor)
            if waiting is not None and not waiting.done():
                waiting.set_result(None)


READABLE: Final = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLONESHOT

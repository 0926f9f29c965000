"""The asyncio shell of `_native.Relay`: joins two sockets and waits until their connection ends.

Knows no protocol. One relay serves all connections of a proxy.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holloway import _native
from holloway.proxy.readiness import Readiness

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many bytes a client and its target exchanged, and why the connection ended.

    `errno` is 0 if both sides ended by themselves. Otherwise `side` is the side that failed: 0 for
    the client, 1 for the target, None for the proxy.
    """

    sent: int
    received: int
    side: int | None = None
    errno: int = 0

    def __str__(self) -> str:
        if not self.errno:
            return "done"
        if self.side is None:
            return "closed" if self.errno == errno.ECONNABORTED else os.strerror(self.errno)
        return f"{os.strerror(self.errno)} ({('client', 'target')[self.side]})"


class NotConnected(Exception):
    """The target did not connect. `client` is its client's socket; that of before is closed."""

    def __init__(self, error: OSError, client: socket.socket, *, has_client_left: bool) -> None:
        super().__init__(error)
        self.error = error
        self.client = client
        self.has_client_left = has_client_left


@dataclass(slots=True)
class Options:
    """What the relay does besides copying.

    `limit` bounds the bytes from client to target (`_native.Relay.join`). `to_client` and
    `to_target` are what each gets first. With `connect_timeout`, in seconds, the target is still
    connecting.
    """

    limit: int | None = None
    to_client: bytes = b""
    to_target: bytes = b""
    connect_timeout: float | None = None


class Relay:
    """Copies for any number of connections. Make it inside the event loop that is to use it."""

    def __init__(self) -> None:
        self._native = _native.Relay()
        self._loop = asyncio.get_running_loop()
        self.readiness = Readiness()
        """Of the clients that are not copied for yet."""
        self._waiting: dict[int, asyncio.Future[tuple[int | None, int, int | None]]] = {}
        self._sent_directly = 0
        self._loop.add_reader(self._native.fileno(), self._take)

    async def run(
        self,
        client: socket.socket,
        target: socket.socket,
        options: Options,
        on_start: Callable[[_native.RelayPair], None],
    ) -> Outcome:
        """Copy between both sockets until the connection ends; both sockets are always closed.

        `on_start` gets the link, which counts the bytes meanwhile. Cancelling resets both
        connections. Raises NotConnected.
        """
        with client, target:
            link = self._native.join(
                client.fileno(),
                target.fileno(),
                options.limit,
                options.to_client,
                options.to_target,
                options.connect_timeout,
            )
        on_start(link)
        end = self._waiting[link.id] = self._loop.create_future()
        try:
            side, number, unconnected = await end
        except asyncio.CancelledError:
            self._waiting.pop(link.id, None)
            self._native.abort(link.id)
            raise
        if unconnected is not None:
            error = OSError(number, os.strerror(number))
            returned = socket.socket(fileno=unconnected)
            returned.setblocking(False)
            raise NotConnected(error, returned, has_client_left=side == 0)
        sent, received = link.moved()
        return Outcome(sent, received, side, number)

    def count_sent(self, size: int) -> None:
        """Count bytes that a service itself sent from a client to its target."""
        self._sent_directly += size

    def moved(self) -> tuple[int, int]:
        """Return the bytes from clients to targets, and back, of all connections so far."""
        sent, received = self._native.moved()
        return sent + self._sent_directly, received

    def close(self) -> None:
        """Reset every connection; each waiting `run` returns its outcome."""
        self._loop.remove_reader(self._native.fileno())
        self._native.close()
        self._take()
        self.readiness.close()

    def _take(self) -> None:
        for link, side, number, unconnected in self._native.ends():
            end = self._waiting.pop(link, None)
            if end is not None and not end.done():
                end.set_result((side, number, unconnected))
            elif unconnected is not None:
                os.close(unconnected)

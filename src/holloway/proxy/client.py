"""A client of a proxy: its request, its answers, and the relay to its target.

Knows no protocol; services read and write through it. `acceptor` makes one for each connection.
"""

from __future__ import annotations

import asyncio
import select
from contextlib import suppress
from dataclasses import replace
from socket import SHUT_WR
from typing import TYPE_CHECKING, Final

from holloway.errors import BadMessage
from holloway.proxy.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from socket import socket

    from holloway.proxy.connection_log import Connection
    from holloway.proxy.networks import ProxyNetwork
    from holloway.proxy.relay import Outcome, Relay

CONNECT_TIMEOUT: Final = 30.0
"""Seconds in which a target has to answer: six attempts of a WireGuard handshake."""

LINGER_TIMEOUT: Final = 2.0
"""Seconds in which a client that is not served has to read its answer and close."""


class Refused(BadMessage):
    """A client that was understood and is not served."""


class ClientLeft(Exception):
    """The client closed its connection before its target was reached."""


class Client:
    """A client, as a service sees it."""

    def __init__(
        self,
        sock: socket,
        connection: Connection,
        source: Hashable,
        relay: Relay,
        on_accepted: Callable[[], None],
    ) -> None:
        self.socket = sock
        self.source = source
        """Whose connection it is, for the limits."""
        self.reader = Reader(sock)
        self.connection = connection
        self._relay = relay
        self._on_accepted = on_accepted

    async def send(self, data: bytes) -> None:
        """Answer the client; raises ClientLeft."""
        try:
            await asyncio.get_running_loop().sock_sendall(self.socket, data)
        except OSError:
            raise ClientLeft from None

    async def send_and_close(self, data: bytes) -> None:
        """Send the last answer, and read until the client closes.

        Closing with unread bytes resets the connection, and the client may lose the answer.
        """
        with suppress(OSError, ClientLeft):
            async with asyncio.timeout(LINGER_TIMEOUT):
                await self.send(data)
                self.socket.shutdown(SHUT_WR)
                while await self.reader.more():
                    pass

    def accepted(self, target: str) -> None:
        """Note where the client wants to go; from here on it has no timeout."""
        self.connection.target = target
        self._on_accepted()

    async def connect(self, network: ProxyNetwork, host: str, port: int) -> socket:
        """Connect to the target; raises OSError, or ClientLeft if the client no longer waits.

        A client may end its own direction as soon as it has sent everything, and still wait for the
        target. So the end of that direction means that the client left only if it comes during the
        attempt, and only if the attempt fails.
        """
        had_ended = self._has_ended()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                return await network.connect(host, port)
        except OSError:
            if self._is_reset() or (self._has_ended() and not had_ended):
                raise ClientLeft from None
            raise

    async def relay(self, target: socket, limit: int | None = None, head: bytes = b"") -> Outcome:
        """Send `head` and what the client has sent already, and copy until the end.

        `limit` is how many bytes the client may still send to this target. Closes the target,
        however it ends; raises ClientLeft if the client has closed its connection already.
        """
        rest = self.reader.rest()
        if limit is not None:
            rest = rest[:limit]
            limit -= len(rest)
        try:
            if self._is_reset():
                raise ClientLeft
            if head or rest:
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    await self.send_to(target, head + rest)
        except BaseException:
            target.close()
            raise
        outcome = await self._relay.run(self.socket, target, limit, self.connection.follow)
        return replace(outcome, sent=outcome.sent + self.connection.sent_directly)

    async def send_to(self, target: socket, data: bytes) -> None:
        """Send bytes to the target that do not pass through the relay."""
        await asyncio.get_running_loop().sock_sendall(target, data)
        self.connection.sent_directly += len(data)
        self._relay.count_sent(len(data))

    def _has_ended(self) -> bool:
        """Whether the client sends no more, or has closed its connection."""
        return bool(self._poll(select.POLLRDHUP))

    def _is_reset(self) -> bool:
        """Whether the connection is closed in both directions."""
        return bool(self._poll(0))

    def _poll(self, events: int) -> list[tuple[int, int]]:
        poll = select.poll()
        poll.register(self.socket, events)  # poll(2) adds POLLHUP and POLLERR
        return poll.poll(0)

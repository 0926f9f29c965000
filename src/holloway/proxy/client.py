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
from holloway.proxy.relay import NotConnected

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from socket import socket

    from holloway.proxy.address import Address
    from holloway.proxy.connection_log import Connection
    from holloway.proxy.limits import Places
    from holloway.proxy.networks import ProxyNetwork
    from holloway.proxy.relay import Options, Outcome, Relay

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

    task: asyncio.Task[None]
    """It serves this client; the acceptor sets it."""
    is_late = False
    """Whether it made no request in time."""

    def __init__(
        self,
        sock: socket,
        connection: Connection,
        source: Hashable,
        places: Places,
        relay: Relay,
    ) -> None:
        self.socket = sock
        self.reader = Reader(sock, relay.readiness)
        self.connection = connection
        self.source = source
        """Whose connection it is, for the limits."""
        self._places = places
        self._relay = relay

    async def send(self, data: bytes) -> None:
        """Answer the client; raises ClientLeft."""
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            raise ClientLeft from None
        if sent < len(data):
            try:
                await asyncio.get_running_loop().sock_sendall(self.socket, data[sent:])
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
        self._places.remove_pending(self)

    async def connect(self, network: ProxyNetwork, host: str, port: int) -> socket:
        """Connect to the target; raises OSError, or ClientLeft if the client no longer waits.

        A client may end its own direction as soon as it has sent everything, and still wait for the
        target. So the end of that direction means that the client left only if it comes during the
        attempt, and only if the attempt fails.
        """
        had_ended, _ = self._state()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                return await network.connect(host, port)
        except OSError:
            has_ended, is_reset = self._state()
            if is_reset or (has_ended and not had_ended):
                raise ClientLeft from None
            raise

    async def run(
        self,
        network: ProxyNetwork,
        address: Address,
        options: Options,
        write_answer: Callable[[socket], bytes] | None = None,
    ) -> Outcome:
        """Connect to the target, answer the client, and copy until the end.

        `write_answer` gets the socket to the target. Raises OSError and ClientLeft as `connect`.
        """
        target = network.start_connecting(*address)
        if target is None:
            target = await self.connect(network, *address)
        else:
            options.connect_timeout = CONNECT_TIMEOUT
        if write_answer is not None:
            options.to_client = write_answer(target)
        return await self.relay(target, options)

    async def relay(self, target: socket, options: Options) -> Outcome:
        """Send the target what the client has sent already, and copy until the end.

        Closes the target, however it ends. Raises OSError and ClientLeft as `connect`, and
        ClientLeft if the client has closed its connection already.
        """
        if rest := self.reader.rest():
            if options.limit is not None:
                rest = rest[: options.limit]
                options.limit -= len(rest)
            options.to_target += rest
        had_ended, is_reset = self._state()
        if is_reset:
            target.close()
            raise ClientLeft
        try:
            outcome = await self._relay.run(self.socket, target, options, self.connection.follow)
        except NotConnected as failure:
            self.socket = self.reader.socket = failure.client
            if failure.has_client_left or (self._state()[0] and not had_ended):
                raise ClientLeft from None
            raise failure.error from None
        if self.connection.sent_directly:
            outcome = replace(outcome, sent=outcome.sent + self.connection.sent_directly)
        return outcome

    async def send_to(self, target: socket, data: bytes) -> None:
        """Send bytes to the target that do not pass through the relay."""
        await asyncio.get_running_loop().sock_sendall(target, data)
        self.connection.sent_directly += len(data)
        self._relay.count_sent(len(data))

    def drop(self) -> None:
        """End the connection."""
        self.task.cancel()

    def time_out(self) -> None:
        """End the connection: the client made no request in time."""
        self.is_late = True
        self._places.remove_pending(self)
        self.task.cancel()

    def _state(self) -> tuple[bool, bool]:
        """Return whether the client sends no more, and whether both directions are closed."""
        poll = select.poll()
        poll.register(self.socket, select.POLLRDHUP)
        events = sum(found for _, found in poll.poll(0))
        return events != 0, bool(events & (select.POLLHUP | select.POLLERR))

"""Accepts the connections of a listener and sees each to its end.

What a service says to its clients is the service's. Here is what no client may do: hold a place
without having said what it wants, or more places than there are.
"""

from __future__ import annotations

import asyncio
import errno
import os
import resource
from contextlib import suppress
from socket import SHUT_WR
from typing import TYPE_CHECKING, Final, Protocol

from holloway.errors import BadMessage
from holloway.proxy.journal import log
from holloway.proxy.reader import Reader
from holloway.proxy.side import show

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from socket import socket

    from holloway.proxy.journal import Connection, Journal
    from holloway.proxy.relay import Outcome, Relay
    from holloway.proxy.side import Listener, Side

PATIENCE: Final = 10.0
"""Seconds in which a client has to say what it wants."""

CONNECT_PATIENCE: Final = 30.0
"""Seconds in which a target has to answer: six tries of a WireGuard handshake."""

PARTING: Final = 2.0
"""Seconds in which a client that is not served has to take its answer and go."""

HALF_DONE: Final = 256
"""So many clients may be about to say what they want; one more, and the oldest has to go."""

FULL: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


GONE_ALREADY: Final = (
    errno.ECONNABORTED, errno.EPERM, errno.EPROTO, errno.ENOPROTOOPT, errno.EHOSTDOWN,
    errno.EHOSTUNREACH, errno.EOPNOTSUPP, errno.ENETUNREACH,
)  # fmt: skip
"""What accept(2) says of a connection that failed before it was accepted: the next one may not."""


class Service(Protocol):
    """A way to say where to go."""

    name: str

    async def serve(self, visitor: Visitor) -> Outcome | None:
        """See a client through; None where there is nothing to tell. Raises BadMessage, OSError."""


class Refused(BadMessage):
    """A client that was understood and is not served."""


class House:
    """What all doors of a proxy share: the relay, the journal and the limits."""

    def __init__(
        self,
        relay: Relay,
        journal: Journal,
        *,
        most: int | None = None,
        patience: float = PATIENCE,
        half_done: int = HALF_DONE,
    ) -> None:
        self.relay = relay
        self.journal = journal
        self.places = asyncio.Semaphore(most or affordable())
        self.patience = patience
        self._half_done = half_done
        self._waiting: dict[asyncio.Task[None], None] = {}

    def wait_for(self, visit: asyncio.Task[None]) -> None:
        """Give a client its time to say what it wants; the one that has had most has to go."""
        if len(self._waiting) >= self._half_done:
            oldest = next(iter(self._waiting))
            self.admit(oldest)
            oldest.cancel()
        self._waiting[visit] = None

    def admit(self, visit: asyncio.Task[None]) -> None:
        """It has said what it wants, or is gone."""
        self._waiting.pop(visit, None)


class Visitor:
    """A client with whom a service speaks."""

    def __init__(
        self, sock: socket, house: House, connection: Connection, timeout: asyncio.Timeout
    ) -> None:
        self.socket = sock
        self.reader = Reader(sock)
        self.connection = connection
        self._house = house
        self._timeout = timeout

    async def send(self, data: bytes) -> None:
        """Answer the client."""
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def part(self, data: bytes) -> None:
        """Answer for the last time, and hear out what the client still says.

        Closing with bytes unread would reset the connection, and the answer might go with it.
        """
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(PARTING):
                await self.send(data)
                self.socket.shutdown(SHUT_WR)
                while await self.reader.more():
                    pass

    def admit(self, target: str) -> None:
        """It has proved itself and said where it wants to go: from here its time is its own."""
        self.connection.target = target
        self._timeout.reschedule(None)
        task = asyncio.current_task()
        assert task is not None
        self._house.admit(task)

    async def reach(self, side: Side, host: str, port: int) -> socket:
        """Connect to where it wants to go; raises OSError."""
        async with asyncio.timeout(CONNECT_PATIENCE):
            return await side.connect(host, port)

    async def relay(self, target: socket, limit: int | None = None, head: bytes = b"") -> Outcome:
        """Send `head` and what the client has already said, and copy until the end.

        `limit` is what the client may still say to this target.
        """
        rest = self.reader.rest()
        if limit is not None:
            rest = rest[:limit]
            limit -= len(rest)
        try:
            if head or rest:
                await self._send_first(target, head + rest)
        except BaseException:
            target.close()
            raise
        outcome = await self._house.relay.run(self.socket, target, limit, self.connection.follow)
        return type(outcome)(
            outcome.sent + len(rest), outcome.received, outcome.side, outcome.errno
        )

    async def _send_first(self, target: socket, data: bytes) -> None:
        async with asyncio.timeout(CONNECT_PATIENCE):
            await asyncio.get_running_loop().sock_sendall(target, data)


class Door:
    """One listener and the service behind it."""

    def __init__(self, listener: Listener, service: Service, house: House) -> None:
        self.listener = listener
        self.service = service
        self._house = house
        self._visits: set[asyncio.Task[None]] = set()
        self._accepting = asyncio.create_task(self._accept())

    @property
    def closed(self) -> Awaitable[None]:
        """Done when no more is accepted; raises why, where that was not asked for."""
        return self._accepting

    async def close(self) -> None:
        """Accept no more and end what is under way."""
        self._accepting.cancel()
        visits = list(self._visits)
        for visit in visits:
            visit.cancel()
        await asyncio.gather(self._accepting, *visits, return_exceptions=True)
        self.listener.close()

    async def _accept(self) -> None:
        where = self.listener.address
        while True:
            await self._house.places.acquire()
            try:
                sock, address = await self.listener.accept()
            except OSError as error:
                self._house.places.release()
                if error.errno in FULL:
                    await asyncio.sleep(0.1)  # until a connection ends and leaves room
                elif error.errno not in GONE_ALREADY:
                    log.error("%s is served no more: %s", show(where), error.strerror)
                    raise
                continue
            except BaseException:
                self._house.places.release()
                raise
            connection = self._house.journal.begin(self.service.name, address)
            visit = asyncio.create_task(self._visit(sock, connection))
            self._visits.add(visit)
            self._house.wait_for(visit)
            visit.add_done_callback(self._leave)
            await asyncio.sleep(0)  # in a rush, those who are inside have their turn too

    def _leave(self, visit: asyncio.Task[None]) -> None:
        self._visits.discard(visit)
        self._house.admit(visit)
        self._house.places.release()
        if not visit.cancelled() and (error := visit.exception()) is not None:
            context = {"message": "A service failed", "exception": error, "task": visit}
            visit.get_loop().call_exception_handler(context)

    async def _visit(self, sock: socket, connection: Connection) -> None:
        journal = self._house.journal
        try:
            with sock:
                async with asyncio.timeout(self._house.patience) as timeout:
                    visitor = Visitor(sock, self._house, connection, timeout)
                    outcome = await self.service.serve(visitor)
            if outcome is not None:
                journal.end(connection, outcome)
        except Refused as error:
            journal.fail(connection, "refused", error)
        except BadMessage as error:
            journal.fail(connection, "misunderstood", error)
        except OSError as error:
            if connection.target:
                journal.fail(connection, "unreachable", explain(error))
            else:
                journal.fail(connection, "gone", "it did not say where to")
        except asyncio.CancelledError:
            journal.fail(connection, "dropped", "the proxy closed it")
            raise
        finally:
            journal.open.pop(connection, None)


def affordable(each: int = 3) -> int:
    """So many connections as there are descriptors for; asks for as many as may be had.

    A connection has two sockets, and the userspace stack the other end of one of them.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return max(16, (min(soft, _MANY) - _OTHERS) // each)


def explain(error: OSError) -> str:
    """Say in one line why a target was not reached."""
    if isinstance(error, TimeoutError) and not error.strerror:
        return os.strerror(errno.ETIMEDOUT)
    hint = _HINTS.get(error.errno or 0)
    text = error.strerror or str(error)
    return f"{text} ({hint})" if hint else text


_HINTS: Final = {
    errno.ENOKEY: "no peer has this address in AllowedIPs",
    errno.EDESTADDRREQ: "the peer has no Endpoint, and has not called yet",
}
_MANY: Final = 65_536
_OTHERS: Final = 128
"""Descriptors of the rest of the program, and of a connection while it is handed to the relay."""

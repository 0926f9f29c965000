"""Accepts the connections of a listener and sees each to its end.

What a service says to its clients is the service's. Here is what no client may do: hold a slot
without having said what it wants, or more slots than there are.
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
from holloway.proxy.connection_log import log
from holloway.proxy.networks import format_address
from holloway.proxy.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from socket import socket

    from holloway.proxy.connection_log import Connection, ConnectionLog
    from holloway.proxy.networks import Listener, ProxyNetwork
    from holloway.proxy.relay import Outcome, Relay

REQUEST_TIMEOUT: Final = 10.0
"""Seconds in which a client has to say what it wants."""

CONNECT_TIMEOUT: Final = 30.0
"""Seconds in which a target has to answer: six tries of a WireGuard handshake."""

LINGER_TIMEOUT: Final = 2.0
"""Seconds in which a client that is not served has to take its answer and go."""

MAX_PENDING: Final = 256
"""So many clients may be about to say what they want; one more, and the oldest has to go."""

OUT_OF_RESOURCES: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


TRANSIENT_ACCEPT_ERRORS: Final = (
    errno.ECONNABORTED, errno.EPERM, errno.EPROTO, errno.ENOPROTOOPT, errno.EHOSTDOWN,
    errno.EHOSTUNREACH, errno.EOPNOTSUPP, errno.ENETUNREACH,
)  # fmt: skip
"""What accept(2) says of a connection that failed before it was accepted: the next one may not."""


class Service(Protocol):
    """A way to say where to go."""

    name: str

    async def serve(self, client: Client) -> Outcome | None:
        """See a client through; None where there is nothing to tell. Raises BadMessage, OSError."""


class Refused(BadMessage):
    """A client that was understood and is not served."""


class ConnectionLimits:
    """Shared by all acceptors of a proxy: the relay, the connection log and the limits."""

    def __init__(
        self,
        relay: Relay,
        connection_log: ConnectionLog,
        *,
        max_connections: int | None = None,
        request_timeout: float = REQUEST_TIMEOUT,
        max_pending: int = MAX_PENDING,
    ) -> None:
        self.relay = relay
        self.connection_log = connection_log
        self.slots = asyncio.Semaphore(max_connections or connection_capacity())
        self.request_timeout = request_timeout
        self._max_pending = max_pending
        self._pending: dict[asyncio.Task[None], None] = {}

    def add_pending(self, task: asyncio.Task[None]) -> None:
        """Give a client its time to say what it wants; the one that has had most has to go."""
        if len(self._pending) >= self._max_pending:
            oldest = next(iter(self._pending))
            self.remove_pending(oldest)
            oldest.cancel()
        self._pending[task] = None

    def remove_pending(self, task: asyncio.Task[None]) -> None:
        """It has said what it wants, or is gone."""
        self._pending.pop(task, None)


class Client:
    """A client with whom a service speaks."""

    def __init__(
        self,
        sock: socket,
        limits: ConnectionLimits,
        connection: Connection,
        timeout: asyncio.Timeout,
    ) -> None:
        self.socket = sock
        self.reader = Reader(sock)
        self.connection = connection
        self._limits = limits
        self._timeout = timeout

    async def send(self, data: bytes) -> None:
        """Answer the client."""
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def send_and_close(self, data: bytes) -> None:
        """Answer for the last time, and hear out what the client still says.

        Closing with bytes unread would reset the connection, and the answer might go with it.
        """
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(LINGER_TIMEOUT):
                await self.send(data)
                self.socket.shutdown(SHUT_WR)
                while await self.reader.more():
                    pass

    def accepted(self, target: str) -> None:
        """It has proved itself and said where it wants to go: from here its time is its own."""
        self.connection.target = target
        self._timeout.reschedule(None)
        task = asyncio.current_task()
        assert task is not None
        self._limits.remove_pending(task)

    async def connect(self, network: ProxyNetwork, host: str, port: int) -> socket:
        """Connect to where it wants to go; raises OSError."""
        async with asyncio.timeout(CONNECT_TIMEOUT):
            return await network.connect(host, port)

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
                await self._send_initial(target, head + rest)
        except BaseException:
            target.close()
            raise
        outcome = await self._limits.relay.run(self.socket, target, limit, self.connection.follow)
        return type(outcome)(
            outcome.sent + len(rest), outcome.received, outcome.side, outcome.errno
        )

    async def _send_initial(self, target: socket, data: bytes) -> None:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            await asyncio.get_running_loop().sock_sendall(target, data)


class Acceptor:
    """One listener and the service behind it."""

    def __init__(self, listener: Listener, service: Service, limits: ConnectionLimits) -> None:
        self.listener = listener
        self.service = service
        self._limits = limits
        self._tasks: set[asyncio.Task[None]] = set()
        self._accepting = asyncio.create_task(self._accept())

    @property
    def closed(self) -> Awaitable[None]:
        """Done when no more is accepted; raises why, where that was not asked for."""
        return self._accepting

    async def close(self) -> None:
        """Accept no more and end what is under way."""
        self._accepting.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(self._accepting, *tasks, return_exceptions=True)
        self.listener.close()

    async def _accept(self) -> None:
        where = self.listener.address
        while True:
            await self._limits.slots.acquire()
            try:
                sock, address = await self.listener.accept()
            except OSError as error:
                self._limits.slots.release()
                if error.errno in OUT_OF_RESOURCES:
                    await asyncio.sleep(0.1)  # until a connection ends and leaves room
                elif error.errno not in TRANSIENT_ACCEPT_ERRORS:
                    log.error("%s is served no more: %s", format_address(where), error.strerror)
                    raise
                continue
            except BaseException:
                self._limits.slots.release()
                raise
            connection = self._limits.connection_log.begin(self.service.name, address)
            task = asyncio.create_task(self._serve(sock, connection))
            self._tasks.add(task)
            self._limits.add_pending(task)
            task.add_done_callback(self._finished)
            await asyncio.sleep(0)  # in a rush, those who are inside have their turn too

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._limits.remove_pending(task)
        self._limits.slots.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            context = {"message": "A service failed", "exception": error, "task": task}
            task.get_loop().call_exception_handler(context)

    async def _serve(self, sock: socket, connection: Connection) -> None:
        connection_log = self._limits.connection_log
        try:
            with sock:
                async with asyncio.timeout(self._limits.request_timeout) as timeout:
                    client = Client(sock, self._limits, connection, timeout)
                    outcome = await self.service.serve(client)
            if outcome is not None:
                connection_log.end(connection, outcome)
        except Refused as error:
            connection_log.fail(connection, "refused", error)
        except BadMessage as error:
            connection_log.fail(connection, "misunderstood", error)
        except OSError as error:
            if connection.target:
                connection_log.fail(connection, "unreachable", explain(error))
            else:
                connection_log.fail(connection, "gone", "it did not say where to")
        except asyncio.CancelledError:
            connection_log.fail(connection, "dropped", "the proxy closed it")
            raise
        finally:
            connection_log.open.pop(connection, None)


def connection_capacity(descriptors_each: int = 3) -> int:
    """So many connections as there are descriptors for; asks for as many as may be had.

    A connection has two sockets, and the userspace stack the other end of one of them.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return max(16, (min(soft, _MAX_DESCRIPTORS) - _RESERVED_DESCRIPTORS) // descriptors_each)


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
_MAX_DESCRIPTORS: Final = 65_536
_RESERVED_DESCRIPTORS: Final = 128
"""Descriptors of the rest of the program, and of a connection while it is handed to the relay."""

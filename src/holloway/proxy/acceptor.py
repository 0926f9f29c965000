"""Accepts the connections of a listener and runs a service for each, within the limits.

Logs how each connection ended. What a service says to its clients is the service's own business.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Protocol

from holloway.errors import BadMessage
from holloway.net import sockets
from holloway.net.errors import explain
from holloway.proxy.address import format_address
from holloway.proxy.client import Client, ClientLeft, Refused
from holloway.proxy.connection_log import log

if TYPE_CHECKING:
    from collections.abc import Awaitable, Hashable
    from socket import socket

    from holloway.net.stack import Listener
    from holloway.proxy.address import Address
    from holloway.proxy.connection_log import Connection, ConnectionLog
    from holloway.proxy.limits import Places
    from holloway.proxy.relay import Outcome, Relay


class Service(Protocol):
    """A protocol in which clients name their target."""

    name: str

    async def serve(self, client: Client) -> Outcome | None:
        """Serve a client to its end; None if there is no outcome to log.

        Raises BadMessage, ClientLeft and OSError.
        """


class Acceptor:
    """One listener and the service behind it."""

    def __init__(
        self,
        listener: Listener,
        service: Service,
        places: Places,
        relay: Relay,
        connection_log: ConnectionLog,
    ) -> None:
        self.listener = listener
        self.service = service
        self._places = places
        self._relay = relay
        self._connection_log = connection_log
        self._tasks: set[asyncio.Task[None]] = set()
        self._accepting = asyncio.create_task(self._accept())

    @property
    def closed(self) -> Awaitable[None]:
        """Done when this accepts no more; raises the reason, unless it was closed."""
        return self._accepting

    async def close(self) -> None:
        """Accept no more, and end the connections."""
        self._accepting.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(self._accepting, *tasks, return_exceptions=True)
        self.listener.close()

    async def _accept(self) -> None:
        while True:
            await self._places.acquire()
            try:
                sock, address = await sockets.accept(self.listener)
            except BaseException as error:
                self._places.release()
                if isinstance(error, OSError):
                    where = format_address(self.listener.address)
                    log.error("%s is served no more: %s", where, error.strerror)
                raise
            self._begin(sock, address)
            await asyncio.sleep(0)  # in a burst of new clients, the others have their turn too

    def _begin(self, sock: socket, address: Address) -> None:
        """Serve a client, unless its source has too many connections."""
        connection = self._connection_log.begin(self.service.name, address)
        source = self._places.source_of(address[0])
        if not self._places.hold(source):
            sock.close()
            self._places.release()
            self._connection_log.fail(connection, "refused", "it has too many connections")
            return
        task = asyncio.create_task(self._serve(sock, connection, source))
        self._tasks.add(task)
        self._places.add_pending(source, task)
        task.add_done_callback(partial(self._finished, source))

    def _finished(self, source: Hashable, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._places.pending.discard(source, task)
        self._places.let_go(source)
        self._places.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            context = {"message": "A service failed", "exception": error, "task": task}
            task.get_loop().call_exception_handler(context)

    async def _serve(self, sock: socket, connection: Connection, source: Hashable) -> None:
        connection_log = self._connection_log
        try:
            with sock:
                async with asyncio.timeout(self._places.request_timeout) as timeout:
                    accepted = partial(self._accepted, source, timeout)
                    client = Client(sock, connection, source, self._relay, accepted)
                    outcome = await self.service.serve(client)
            if outcome is not None:
                connection_log.end(connection, outcome)
        except Refused as error:
            connection_log.fail(connection, "refused", error)
        except BadMessage as error:
            connection_log.fail(connection, "misunderstood", error)
        except (OSError, ClientLeft) as error:
            if not connection.target:
                connection_log.fail(connection, "gone", "it did not say where to")
            elif isinstance(error, ClientLeft):
                connection_log.fail(connection, "gone", "it left before the target was reached")
            else:
                connection_log.fail(connection, "unreachable", explain(error))
        except asyncio.CancelledError:
            connection_log.fail(connection, "dropped", "the proxy closed it")
            raise
        finally:
            connection_log.open.pop(connection, None)

    def _accepted(self, source: Hashable, timeout: asyncio.Timeout) -> None:
        """The client of the current task has made its request."""
        timeout.reschedule(None)
        task = asyncio.current_task()
        assert task is not None
        self._places.pending.discard(source, task)

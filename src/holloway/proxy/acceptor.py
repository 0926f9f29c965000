"""Accepts the connections of a listener and runs a service for each, within the limits.

Logs how each connection ended. What a service says to its clients is the service's own business.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from holloway.errors import BadMessage
from holloway.net import sockets
from holloway.net.errors import explain
from holloway.proxy.address import format_address
from holloway.proxy.client import Client, ClientLeft, Refused
from holloway.proxy.connection_log import log

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from socket import socket

    from holloway.net.sockets import Listener
    from holloway.proxy.address import Address
    from holloway.proxy.connection_log import ConnectionLog
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
        self._loop = asyncio.get_running_loop()
        self._clients: dict[asyncio.Task[None], Client] = {}
        self._accepting = asyncio.create_task(self._accept())

    @property
    def closed(self) -> Awaitable[None]:
        """Done when this accepts no more; raises the reason, unless it was closed."""
        return self._accepting

    async def close(self) -> None:
        """Accept no more, and end the connections."""
        self._accepting.cancel()
        tasks = list(self._clients)
        for task in tasks:
            task.cancel()
        await asyncio.gather(self._accepting, *tasks, return_exceptions=True)
        self.listener.close()

    async def _accept(self) -> None:
        number = 0
        while True:
            await self._places.acquire()
            try:
                accepted = self.listener.accept_now() or await sockets.accept(self.listener)
            except BaseException as error:
                self._places.release()
                if isinstance(error, OSError):
                    where = format_address(self.listener.address[:2])
                    log.error("%s is served no more: %s", where, error.strerror)
                raise
            sock, address = accepted
            self._begin(sock, address[:2])
            number += 1
            if number % BURST == 0:
                await asyncio.sleep(0)

    def _begin(self, sock: socket, address: Address) -> None:
        """Serve a client, unless its source has too many connections."""
        connection = self._connection_log.begin(self.service.name, address)
        source = self._places.source_of(address[0])
        if not self._places.hold(source):
            sock.close()
            self._places.release()
            self._connection_log.fail(connection, "refused", "it has too many connections")
            return
        client = Client(sock, connection, source, self._places, self._relay)
        client.task = asyncio.Task(self._serve(client), loop=self._loop)
        self._clients[client.task] = client
        self._places.add_pending(client)
        client.task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        client = self._clients.pop(task)
        client.socket.close()  # if the task was cancelled before it began
        self._connection_log.open.pop(client.connection, None)
        self._places.remove_pending(client)
        self._places.let_go(client.source)
        self._places.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            context = {"message": "A service failed", "exception": error, "task": task}
            self._loop.call_exception_handler(context)

    async def _serve(self, client: Client) -> None:
        fail = self._connection_log.fail
        connection = client.connection
        try:
            try:
                outcome = await self.service.serve(client)
            finally:
                client.socket.close()
            if outcome is not None:
                self._connection_log.end(connection, outcome)
        except Refused as error:
            fail(connection, "refused", error)
        except BadMessage as error:
            fail(connection, "misunderstood", error)
        except (OSError, ClientLeft) as error:
            if not connection.target:
                fail(connection, "gone", NO_REQUEST)
            elif isinstance(error, ClientLeft):
                fail(connection, "gone", "it left before the target was reached")
            else:
                fail(connection, "unreachable", explain(error))
        except asyncio.CancelledError:
            if client.is_late:
                fail(connection, "gone", NO_REQUEST)
            else:
                fail(connection, "dropped", "the proxy closed it")
            raise


BURST: Final = 16
"""Clients that are accepted before others have their turn."""
NO_REQUEST: Final = "it did not say where to"

"""A TCP server inside the tunnel, with the interface of `asyncio.Server`.

Accepts from the listeners of any stack and gives each connection a transport. Knows no tunnel.
`Network.start_server` and `create_server` make one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from holloway.net.sockets import accept
from holloway.net.stream_transport import open_transport

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Sequence

    from holloway.net.stack import Address, Listener

log = logging.getLogger(__name__)


class Server(asyncio.AbstractServer):
    """Listening ports and the tasks that accept from them."""

    def __init__(
        self,
        listeners: Sequence[Listener],
        factory: Callable[[], asyncio.BaseProtocol],
        context: ssl.SSLContext | None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listeners = listeners
        self._factory = factory
        self._context = context
        self._handshakes: set[asyncio.Task[None]] = set()
        self._accepting: list[asyncio.Task[None]] = []
        self._closed = asyncio.Event()

    @property
    def addresses(self) -> list[Address]:
        """The addresses that it listens on."""
        return [listener.address for listener in self._listeners]

    @property
    def port(self) -> int:
        """The port that it listens on; the system chooses it if 0 was asked for."""
        return self._listeners[0].address[1]

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def is_serving(self) -> bool:
        return bool(self._accepting) and not self._closed.is_set()

    async def start_serving(self) -> None:
        """Start accepting."""
        if not self._accepting:
            self._accepting = [
                self._loop.create_task(self._accept(each)) for each in self._listeners
            ]

    async def serve_forever(self) -> None:
        """Accept until this is cancelled, then close."""
        await self.start_serving()
        try:
            await self._closed.wait()
        finally:
            self.close()

    def close(self) -> None:
        """Stop accepting; open connections stay open."""
        self._closed.set()
        for listener in self._listeners:
            listener.close()
        for task in (*self._accepting, *self._handshakes):
            task.cancel()

    async def wait_closed(self) -> None:
        """Wait until all its tasks have ended."""
        await self._closed.wait()
        tasks = [*self._accepting, *self._handshakes]
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, listener: Listener) -> None:
        while not self._closed.is_set():
            try:
                connection, _ = await accept(listener)
            except OSError as error:
                if not self._closed.is_set():
                    log.info("Port %d is closed: %s", listener.address[1], error)
                return
            task = self._loop.create_task(self._start_transport(connection))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    async def _start_transport(self, connection: socket.socket) -> None:
        """Give a connection its transport, after the handshake if there is TLS."""
        try:
            begin = self._loop.connect_accepted_socket
            await open_transport(begin, self._factory, connection, ssl=self._context)
        except OSError as error:  # ssl.SSLError is one
            log.info("A connection failed at its start: %s", error)
            connection.close()
        except BaseException:
            with contextlib.suppress(OSError):
                connection.close()
            raise

"""A TCP server inside the tunnel, with the interface of `asyncio.Server` as Python 3.13 has it.

Accepts from the listeners of any stack and gives each connection a transport. Knows no tunnel.
`Network.start_server` and `create_server` make one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from asyncio.trsock import TransportSocket
from functools import partial
from typing import TYPE_CHECKING, TypedDict, cast

from holloway.net.closing_socket import ClosingSocket
from holloway.net.sockets import accept
from holloway.net.stream_transport import open_transport
from holloway.net.tls import tls_options

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence

    from holloway.net.sockets import Listener
    from holloway.net.stack import Address
    from holloway.net.tls import Tls

log = logging.getLogger(__name__)


class ServerOptions(TypedDict, total=False):
    """What `Network.create_server` and `start_server` take, as asyncio's functions of that name."""

    family: int
    sock: socket.socket | None
    backlog: int
    ssl: ssl.SSLContext | None
    reuse_address: bool | None
    reuse_port: bool | None
    ssl_handshake_timeout: float | None
    ssl_shutdown_timeout: float | None
    start_serving: bool


class Server(asyncio.AbstractServer):
    """Listening ports, the tasks that accept from them, and the clients."""

    def __init__(
        self,
        listeners: Sequence[Listener],
        factory: Callable[[], asyncio.BaseProtocol],
        tls: Tls,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listeners = listeners
        self._factory = factory
        self._tls = tls
        self._accepting: list[asyncio.Task[None]] = []
        self._clients: dict[ClosingSocket, asyncio.BaseTransport | None] = {}
        """The open connections, with their transports once they have one."""
        self._starting: dict[ClosingSocket, asyncio.Task[None]] = {}
        self._is_closed = False
        self._all_left = asyncio.Event()
        self._forever: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else "serving" if self._accepting else "not serving"
        return f"<Server {state}, {', '.join(map(str, self.addresses))}>"

    @property
    def addresses(self) -> list[Address]:
        """The addresses that it listens on."""
        return [listener.address for listener in self._listeners]

    @property
    def port(self) -> int:
        """The port that it listens on; the system chooses it if 0 was asked for."""
        return self._listeners[0].address[1]

    @property
    def sockets(self) -> tuple[TransportSocket, ...]:
        """The listening sockets; none once it is closed."""
        listening = () if self._is_closed else self._listeners
        return tuple(TransportSocket(listener.socket) for listener in listening)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def is_serving(self) -> bool:
        return bool(self._accepting) and not self._is_closed

    async def start_serving(self) -> None:
        """Start accepting; does nothing if it does already."""
        self._start_accepting()
        await asyncio.sleep(0)

    async def serve_forever(self) -> None:
        """Accept until this is cancelled or the server closed; then end all clients.

        Raises CancelledError in both cases, as asyncio's does, and OSError if the network ends.
        """
        if self._forever is not None:
            raise RuntimeError(f"server {self!r} is already being awaited on serve_forever()")
        if self._is_closed:
            raise RuntimeError(f"server {self!r} is closed")
        self._start_accepting()
        self._forever = self._loop.create_future()
        try:
            await self._forever
        except asyncio.CancelledError:
            self.close()
            self.close_clients()
            with contextlib.suppress(asyncio.CancelledError):
                await self.wait_closed()
            raise
        finally:
            self._forever = None

    def close(self) -> None:
        """Stop accepting; open connections stay open."""
        if self._is_closed:
            return
        self._is_closed = True
        for listener in self._listeners:
            listener.close()
        for task in self._accepting:
            task.cancel()
        if self._forever is not None:
            self._forever.cancel()
        if not self._clients:
            self._all_left.set()

    def end(self, reason: OSError) -> None:
        """Close, because the network has ended; `serve_forever` raises the reason."""
        if self._forever is not None and not self._forever.done():
            self._forever.set_exception(OSError(reason.errno, reason.strerror))
        self.close()

    def close_clients(self) -> None:
        """Close every connection once what was written to it is sent."""
        for connection, transport in list(self._clients.items()):
            if transport is None:
                self._stop_starting(connection)
            else:
                transport.close()

    def abort_clients(self) -> None:
        """Close every connection at once; what was written and not yet sent is lost."""
        for connection, transport in list(self._clients.items()):
            if transport is None:
                self._stop_starting(connection)
            else:
                cast("asyncio.WriteTransport", transport).abort()

    async def wait_closed(self) -> None:
        """Wait until the server is closed and its last connection has ended, as in Python 3.12."""
        await self._all_left.wait()
        await asyncio.gather(*self._accepting, *self._starting.values(), return_exceptions=True)

    def _start_accepting(self) -> None:
        if self._is_closed:
            raise RuntimeError(f"server {self!r} is closed")
        if not self._accepting:
            self._accepting = [
                self._loop.create_task(self._accept(each)) for each in self._listeners
            ]

    async def _accept(self, listener: Listener) -> None:
        while not self._is_closed:
            try:
                connection, _ = await accept(listener)
            except OSError as error:
                if not self._is_closed:
                    log.info("Port %d is closed: %s", listener.address[1], error)
                return
            assert isinstance(connection, ClosingSocket)
            self._clients[connection] = None
            connection.on_close = self._client_left
            task = self._loop.create_task(self._start_transport(connection))
            self._starting[connection] = task
            task.add_done_callback(partial(self._started, connection))

    async def _start_transport(self, connection: ClosingSocket) -> None:
        """Give a connection its transport, after the handshake if there is TLS."""
        try:
            begin = self._loop.connect_accepted_socket
            transport, _ = await open_transport(begin, self._factory, connection, **self._tls)
        except OSError as error:  # ssl.SSLError is one
            log.info("A connection failed at its start: %s", error)
        else:
            if connection in self._clients:
                self._clients[connection] = transport

    def _started(self, connection: ClosingSocket, task: asyncio.Task[None]) -> None:
        """Close a connection that got no transport; its task may have been cancelled unbegun."""
        del task
        self._starting.pop(connection)
        if connection in self._clients and self._clients[connection] is None:
            connection.close()

    def _stop_starting(self, connection: ClosingSocket) -> None:
        if (task := self._starting.get(connection)) is not None:
            task.cancel()

    def _client_left(self, connection: ClosingSocket) -> None:
        self._clients.pop(connection, None)
        if self._is_closed and not self._clients:
            self._all_left.set()


async def start(server: Server) -> None:
    """Start a new server; nothing listens any more if this is cancelled."""
    try:
        await server.start_serving()
    except BaseException:
        server.close()
        raise


def server_tls(
    context: ssl.SSLContext | None, handshake_timeout: float | None, shutdown_timeout: float | None
) -> Tls:
    """Check the arguments about TLS as asyncio does; raises TypeError and ValueError."""
    if isinstance(context, bool):
        raise TypeError("ssl argument must be an SSLContext or None")
    return tls_options(context, handshake_timeout, shutdown_timeout)

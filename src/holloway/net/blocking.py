"""`Network` for plain scripts: blocking, with the event loop in a thread of its own.

`holloway.open` makes one. The sockets it returns are blocking. Any thread may use them, and the
network.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from socket import AF_INET, SOCK_STREAM
from typing import TYPE_CHECKING, Any, Self, TypeVar

from holloway.net.addrinfo import GLOBAL_DEFAULT_TIMEOUT, create_connection
from holloway.net.errors import network_down
from holloway.net.network import Network
from holloway.net.patch import outside, patched
from holloway.net.stack import BUFFER

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextlib import _GeneratorContextManager
    from socket import socket as Socket  # noqa: N812  # there is a method of that name

    from holloway.model import Device, DeviceUpdate
    from holloway.net.stack import Address, Listener

Result = TypeVar("Result")


def open(  # noqa: A001  # `holloway.open`, like `gzip.open`
    config: str | os.PathLike[str], *, stack: str | None = None, buffer: int = BUFFER
) -> BlockingNetwork:
    """Open a network from a wg-quick file's path or text; a context manager."""
    return BlockingNetwork(Network.from_config(config, stack=stack, buffer=buffer))


class BlockingNetwork:
    """A network that is open until `close`, or until the program ends."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._owner = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name=f"holloway {network.name}", daemon=True
        )
        self._thread.start()
        try:
            self.run(network.open())
        except BaseException:
            self._stop()
            raise
        # So that the other side learns that its connections have ended.
        atexit.register(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every connection with an error, then the tunnel."""
        if self.closed or os.getpid() != self._owner:
            return  # a fork has no such thread, and does not own the connections
        atexit.unregister(self.close)
        self.run(self._network.close())
        self._stop()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._loop.is_closed()

    @property
    def network(self) -> Network:
        """The network for asyncio; only for coroutines that `run` runs."""
        return self._network

    @property
    def name(self) -> str:
        """The configuration's name."""
        return self._network.name

    @property
    def stack(self) -> str:
        """`kernel` or `userspace`; see `stack_reason`."""
        return self._network.stack

    @property
    def stack_reason(self) -> str:
        """Why it is this stack."""
        return self._network.stack_reason

    @property
    def notes(self) -> tuple[str, ...]:
        """Which settings of the configuration do not apply to a single program."""
        return self._network.notes

    @property
    def addresses(self) -> tuple[str, ...]:
        """Our own addresses."""
        return self._network.addresses

    @property
    def failure(self) -> OSError | None:
        """Why the network ended by itself, if it did."""
        return self._network.failure

    @property
    def device(self) -> Device:
        """Keys, peers, traffic and handshakes: what `wg show` prints."""
        return self.run(_in_loop(lambda: self._network.device))

    def set(self, update: DeviceUpdate) -> None:
        """Change peers or keys while connections live; raises OSError and ConfigError."""
        self.run(_in_loop(lambda: self._network.set(update)))

    def socket(
        self,
        family: int = AF_INET,
        type: int = SOCK_STREAM,  # noqa: A002
        proto: int = 0,
    ) -> Socket:
        """Make an ordinary socket inside the tunnel; see `Network.socket`."""
        return self._network.socket(family, type, proto)

    def connect(
        self,
        host: str,
        port: int,
        *,
        type: int = SOCK_STREAM,  # noqa: A002
        source: Address | None = None,
        timeout: float | None = None,
    ) -> Socket:
        """Return a connected TCP or UDP socket; `timeout` is for connecting, and the socket's."""
        connected = self.run(
            self._network.connect(host, port, type=type, source=source, timeout=timeout)
        )
        connected.settimeout(timeout)
        return connected

    def create_connection(
        self,
        address: tuple[Any, ...],
        timeout: float | None = GLOBAL_DEFAULT_TIMEOUT,
        source_address: tuple[Any, ...] | None = None,
        *,
        all_errors: bool = False,
    ) -> Socket:
        """Connect as `socket.create_connection` does, for libraries that take such a function."""
        return create_connection(self, address, timeout, source_address, all_errors=all_errors)

    def patched(self, *, threads: bool = True) -> _GeneratorContextManager[None]:
        """Return a block in which the standard library's sockets and names are inside the tunnel.

        For libraries that take neither a socket nor a function that connects. Inside are this
        thread or task, and the tasks and, unless `threads` is False, threads that it starts.
        """
        return patched(self, threads=threads)

    def listen(
        self, port: int = 0, host: str | None = None, *, backlog: int = 100
    ) -> BlockingListener:
        """Listen on one address; without `host` on all of the family of our first one."""
        listener = self.run(self._network.listen(port, host, backlog=backlog))
        return BlockingListener(listener, self)

    def resolve(self, host: str, *, family: int = 0) -> list[str]:
        """Look a name up through the tunnel; see `Network.resolve`."""
        return self.run(self._network.resolve(host, family=family))

    def ping(self, host: str, timeout: float = 5.0) -> float:
        """Return the seconds until the answer to an ICMP echo request; TimeoutError."""
        return self.run(self._network.ping(host, timeout))

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine in the network's event loop; an interrupt of this thread cancels it."""
        if self.closed:
            work.close()
            raise network_down("the network is closed")
        with outside():  # the loop is the network's own: what it connects leaves as it always did
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class BlockingListener:
    """A listening TCP port; a context manager."""

    def __init__(self, listener: Listener, network: BlockingNetwork) -> None:
        self._listener = listener
        self._network = network

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def address(self) -> Address:
        """The address that it listens on; the system chooses the port if 0 was asked for."""
        return self._listener.address

    def accept(self, timeout: float | None = None) -> tuple[Socket, Address]:
        """Wait for a connection; returns a blocking socket and the client's address."""

        async def wait() -> tuple[Socket, Address]:
            async with asyncio.timeout(timeout):
                return await self._listener.accept()

        connection, address = self._network.run(wait())
        connection.setblocking(True)
        return connection, address

    def close(self) -> None:
        """Stop listening; a waiting `accept` raises OSError."""
        if self._network.closed:
            self._listener.close()
        else:
            self._network.run(_in_loop(self._listener.close))


async def _in_loop(function: Callable[[], Result]) -> Result:
    """Call a function in the loop's thread."""
    return function()

"""`Network` for plain scripts: blocking, with the event loop in a thread of its own.

`holloway.open` makes one. The sockets it returns are blocking. Any thread may use them, and the
network.
"""

from __future__ import annotations

import asyncio
import os
from socket import AF_INET, SOCK_STREAM
from typing import TYPE_CHECKING, Any, Self, TypeVar

from holloway.net.loop_thread import LoopThread
from holloway.net.network import Network
from holloway.net.opening import OPEN_TIMEOUT
from holloway.net.stack import BUFFER

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from socket import socket as Socket  # noqa: N812  # there is a method of that name

    from holloway.model import Device, DeviceUpdate
    from holloway.net.stack import Address, Listener

Result = TypeVar("Result")


def open(  # noqa: A001  # `holloway.open`, like `gzip.open`
    config: str | os.PathLike[str],
    *,
    stack: str | None = None,
    buffer: int = BUFFER,
    timeout: float | None = OPEN_TIMEOUT,
) -> BlockingNetwork:
    """Open a network from a wg-quick file's path or text; a context manager.

    `timeout` and what it raises are those of `Network.open`.
    """
    network = Network.from_config(config, stack=stack, buffer=buffer)
    return BlockingNetwork(network, timeout=timeout)


class BlockingNetwork:
    """A network that is open until `close`, or until the program ends.

    Keep it as long as its connections live: one that nothing refers to any more is closed with a
    ResourceWarning.
    """

    def __init__(self, network: Network, *, timeout: float | None = OPEN_TIMEOUT) -> None:
        self._network = network
        self._loop_thread = LoopThread(network.name)
        try:
            self.run(network.open(timeout=timeout))
        except BaseException:
            self._loop_thread.stop()
            raise

    def __del__(self) -> None:
        loop_thread = getattr(self, "_loop_thread", None)  # it may not have been started
        if loop_thread is not None and loop_thread.is_this_process and not self.closed:
            try:
                self._network._abandon(self)
            finally:
                loop_thread.stop_soon()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every connection with an error, then the tunnel; does nothing in a fork."""
        if self.closed or not self._loop_thread.is_this_process:
            return
        self.run(self._network.close())
        self._loop_thread.stop()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._loop_thread.is_stopped

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
        address: Address,
        timeout: float | None = None,
        source_address: Address | None = None,
    ) -> Socket:
        """Connect as `socket.create_connection` does, for libraries that take such a function."""
        return self.connect(*address, source=source_address, timeout=timeout)

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
        return self._loop_thread.run(work)


class BlockingListener:
    """A listening TCP port; a context manager."""

    def __init__(self, listener: Listener, network: BlockingNetwork) -> None:
        self._listener = listener
        self._network = network
        self._process = os.getpid()

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
        """Stop listening; a waiting `accept` raises OSError. A fork closes its descriptor only."""
        if self._network.closed or os.getpid() != self._process:
            self._listener.close()
        else:
            self._network.run(_in_loop(self._listener.close))


async def _in_loop(function: Callable[[], Result]) -> Result:
    """Call a function in the loop's thread."""
    return function()

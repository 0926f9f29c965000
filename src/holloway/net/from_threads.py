"""A network as blocking code calls it, from other threads than that of the network's event loop.

`blocking` derives from it, and `Network.patched` gives it to `patch`.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from socket import AF_INET, SOCK_STREAM
from typing import TYPE_CHECKING, Any, TypeVar

from holloway.net.addrinfo import GLOBAL_DEFAULT_TIMEOUT, create_connection
from holloway.net.patch import outside
from holloway.net.renamed import renamed

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from socket import socket as Socket  # noqa: N812  # there is a method of that name

    from holloway.net.network import Network
    from holloway.net.stack import Address

Result = TypeVar("Result")


class FromThreads(ABC):
    """Sockets and connections of a network for blocking code in any thread but that of its loop."""

    @property
    @abstractmethod
    def network(self) -> Network:
        """The network for asyncio; only for coroutines that `run` runs."""

    @abstractmethod
    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine in the network's event loop; an interrupt of this thread cancels it."""

    def socket(
        self,
        family: int = AF_INET,
        type: int = SOCK_STREAM,  # noqa: A002
        proto: int = 0,
    ) -> Socket:
        """Make an ordinary socket inside the tunnel; see `Network.socket`."""
        return self.network.socket(family, type, proto)

    def connect(
        self,
        host: str,
        port: int,
        *,
        type: int = SOCK_STREAM,  # noqa: A002
        source_address: Address | None = None,
        timeout: float | None = None,
        source: Address | None = None,
    ) -> Socket:
        """Return a connected TCP or UDP socket; `timeout` is for connecting, and the socket's."""
        local = renamed("source", source, "source_address", source_address)
        connected = self.run(
            self.network.connect(host, port, type=type, local_addr=local, timeout=timeout)
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


class FromOtherThreads(FromThreads):
    """Of a network of asyncio. Make it inside the network's event loop."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._loop = asyncio.get_running_loop()

    @property
    def network(self) -> Network:
        return self._network

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine in the network's event loop; RuntimeError in the thread of that loop."""
        if asyncio._get_running_loop() is self._loop:
            work.close()
            raise RuntimeError(
                "a blocking call in the thread of the event loop would wait for itself: "
                "use asyncio's functions, or asyncio.to_thread"
            )
        with outside():
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

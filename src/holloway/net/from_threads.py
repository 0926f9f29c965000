"""A network of asyncio, as blocking code in other threads of its program calls it.

`Network.patched` gives it to `patch`, which knows blocking networks only.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from holloway.net.addrinfo import GLOBAL_DEFAULT_TIMEOUT, create_connection
from holloway.net.patch import outside

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from socket import socket as Socket  # noqa: N812  # there is a method of that name

    from holloway.net.network import Network

Result = TypeVar("Result")


class FromThreads:
    """What `patch` needs of a blocking network. Make it inside the network's event loop."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._loop = asyncio.get_running_loop()

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

    def socket(self, family: int, type: int, proto: int) -> Socket:  # noqa: A002
        return self.network.socket(family, type, proto)

    def connect(
        self,
        host: str,
        port: int,
        *,
        timeout: float | None,
        source_address: tuple[Any, ...] | None = None,
    ) -> Socket:
        work = self.network.connect(host, port, local_addr=source_address, timeout=timeout)
        connected = self.run(work)
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
        return create_connection(self, address, timeout, source_address, all_errors=all_errors)

"""A port that is open while a block of a program runs, and leads from one network to the other.

`forwarded` and `published` are such ports; this opens them, and closes them gently.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from holloway.net.blocking import BlockingNetwork
from holloway.proxy.networks import HostNetwork
from holloway.proxy.proxy import Proxy

if TYPE_CHECKING:
    from holloway.net.network import Network
    from holloway.proxy.acceptor import Service
    from holloway.proxy.address import Address
    from holloway.proxy.networks import ProxyNetwork


class ServedPort(ABC):
    """A context manager, asynchronous over a `Network`, plain over a blocking one."""

    def __init__(self, network: Network | BlockingNetwork) -> None:
        self._blocking = network if isinstance(network, BlockingNetwork) else None
        self._network = network.network if isinstance(network, BlockingNetwork) else network

    @abstractmethod
    def _listening(self) -> tuple[ProxyNetwork, Address]:
        """Return the network that it listens in, and where."""

    @abstractmethod
    def _service(self) -> Service:
        """Return what serves its clients."""

    async def __aenter__(self) -> Address:
        self._proxy = Proxy(HostNetwork(), self._network)
        try:
            return (await self._proxy.serve(*self._listening(), self._service()))[0]
        except BaseException:
            await self._proxy.close()
            raise

    async def __aexit__(self, *exception: object) -> None:
        # The end of connections that a library has just closed is still to be relayed.
        for _ in range(DRAIN_TURNS):
            if not self._proxy.connection_log.open:
                break
            await asyncio.sleep(DRAIN_SECONDS)
        await self._proxy.close()

    def __enter__(self) -> Address:
        return self._blocking_network().run(self.__aenter__())

    def __exit__(self, *exception: object) -> None:
        self._blocking_network().run(self.__aexit__())

    def _blocking_network(self) -> BlockingNetwork:
        if self._blocking is None:
            raise TypeError("use `async with`: this is a network for asyncio")
        return self._blocking


DRAIN_TURNS: Final = 50
DRAIN_SECONDS: Final = 0.005

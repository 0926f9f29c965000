"""A port of this host that leads into a tunnel, for libraries that open their own sockets.

    async with Forwarded(network, "db.home", 5432) as (host, port):

libpq, gRPC and other libraries in C connect by themselves; give them this port instead. It is on
the loopback interface, so every program of this machine can use it meanwhile.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from holloway.net.blocking import BlockingNetwork
from holloway.proxy.forward import Forward
from holloway.proxy.networks import HostNetwork
from holloway.proxy.proxy import Proxy

if TYPE_CHECKING:
    from holloway.net.network import Network
    from holloway.proxy.address import Address


class Forwarded:
    """A context manager, asynchronous over a `Network`, plain over a blocking one."""

    def __init__(
        self,
        network: Network | BlockingNetwork,
        host: str,
        port: int,
        *,
        bind: Address = ("127.0.0.1", 0),
    ) -> None:
        self._blocking = network if isinstance(network, BlockingNetwork) else None
        self._network = network.network if isinstance(network, BlockingNetwork) else network
        self._target = (host, port)
        self._bind = bind

    async def __aenter__(self) -> Address:
        host = HostNetwork()
        self._proxy = Proxy(host, self._network)
        try:
            service = Forward(self._network, self._target, "forward")
            return (await self._proxy.serve(host, self._bind, service))[0]
        except BaseException:
            await self._proxy.close()
            raise

    async def __aexit__(self, *exception: object) -> None:
        # The end of connections that the library has just closed is still to be relayed.
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

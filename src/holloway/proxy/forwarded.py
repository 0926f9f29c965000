"""A port of this host that leads into a tunnel, for libraries that open their own sockets.

    async with Forwarded(network, "db.home", 5432) as (host, port):

libpq, gRPC and other libraries in C connect by themselves; give them this port instead. It is on
the loopback interface, so every program of this machine can use it meanwhile. `published` is the
other way round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holloway.proxy.forward import Forward
from holloway.proxy.networks import HostNetwork
from holloway.proxy.served_port import ServedPort

if TYPE_CHECKING:
    from holloway.net.blocking import BlockingNetwork
    from holloway.net.network import Network
    from holloway.proxy.address import Address
    from holloway.proxy.networks import ProxyNetwork


class Forwarded(ServedPort):
    """A context manager, asynchronous over a `Network`, plain over a blocking one."""

    def __init__(
        self,
        network: Network | BlockingNetwork,
        host: str,
        port: int,
        *,
        bind: Address = ("127.0.0.1", 0),
    ) -> None:
        super().__init__(network)
        self._target = (host, port)
        self._bind = bind

    def _listening(self) -> tuple[ProxyNetwork, Address]:
        return HostNetwork(), self._bind

    def _service(self) -> Forward:
        return Forward(self._network, self._target, "forward")

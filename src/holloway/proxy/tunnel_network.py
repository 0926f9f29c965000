"""The network inside a tunnel, as a `ProxyNetwork`."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from holloway.proxy.networks import BACKLOG

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from socket import socket

    from holloway.net.network import Network
    from holloway.proxy.networks import Address, AnyProtocol, Listener


class TunnelNetwork:
    """A `Network` that is open; names are looked up through it."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def connect(self, host: str, port: int) -> socket:
        return await self._network.connect(host, port)

    async def listen(self, host: str, port: int) -> list[Listener]:
        hosts = [host] if host else self._wildcard_hosts()
        return [*await self._network.listen_on(hosts, port, backlog=BACKLOG)]

    async def create_datagram_endpoint(
        self,
        factory: Callable[[], AnyProtocol],
        *,
        local_addr: Address | None = None,
        remote_addr: Address | None = None,
    ) -> tuple[asyncio.DatagramTransport, AnyProtocol]:
        if local_addr is not None and not local_addr[0]:
            local_addr = (self._wildcard_hosts()[0], local_addr[1])
        return await self._network.create_datagram_endpoint(
            factory, local_addr=local_addr, remote_addr=remote_addr
        )

    def _wildcard_hosts(self) -> list[str]:
        versions = {ip_address(each).version for each in self._network.addresses}
        return [{4: "0.0.0.0", 6: "::"}[version] for version in sorted(versions)]  # noqa: S104

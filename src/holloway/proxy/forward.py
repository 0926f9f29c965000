"""Port forwards: a port in one network leads to one target in the other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from holloway.proxy.address import format_address
from holloway.proxy.flows import FlowLimits, Flows, UdpPort
from holloway.proxy.proxy_protocol import header
from holloway.proxy.relay import Options

if TYPE_CHECKING:
    from holloway.proxy.address import Address
    from holloway.proxy.client import Client
    from holloway.proxy.connection_log import ConnectionLog
    from holloway.proxy.networks import ProxyNetwork
    from holloway.proxy.proxy_protocol import Version
    from holloway.proxy.relay import Outcome
    from holloway.proxy.settings import ForwardPort


class Forward:
    """The service behind a TCP port: every client has the same target.

    With `proxy_protocol`, the target gets the addresses of the client first, in that version.
    """

    def __init__(
        self,
        network: ProxyNetwork,
        target: Address,
        name: str,
        proxy_protocol: Version | None = None,
    ) -> None:
        self.name = name
        self._network = network
        self._target = target
        self._proxy_protocol = proxy_protocol

    async def serve(self, client: Client) -> Outcome:
        client.accepted(format_address(self._target))
        options = Options()
        if self._proxy_protocol is not None:
            here = client.socket.getsockname()[:2]
            options.to_target = header(self._proxy_protocol, client.connection.client, here)
        return await client.run(self._network, self._target, options)


class DatagramForward(UdpPort):
    """A UDP port, with a flow to the target for each client."""

    def __init__(
        self,
        networks: tuple[ProxyNetwork, ProxyNetwork],
        port: ForwardPort,
        connection_log: ConnectionLog,
        limits: FlowLimits,
    ) -> None:
        ingress, egress = networks
        self._target = port.target
        self._connection_log = connection_log
        self._flows: Flows[Address] = Flows(
            egress,
            self._answer,
            lambda client: ingress.source_of(client[0]),
            limits.add_service(idle=port.idle),
        )

    @property
    def address(self) -> Address:
        """The address that it listens on."""
        assert self.transport is not None
        host, port = self.transport.get_extra_info("sockname")[:2]
        return host, port

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._connection_log.datagrams["sent"] += 1
        self._flows.send(addr, self._target, data)

    def close(self) -> None:
        """Close the port and end every flow."""
        self._flows.close()
        if self.transport is not None:
            self.transport.close()

    def _answer(self, key: Address, data: bytes, peer: Address | None) -> None:
        del peer
        self._connection_log.datagrams["received"] += 1
        self.send(data, key)

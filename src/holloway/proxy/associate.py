"""UDP ASSOCIATE of SOCKS5 (RFC 1928, 7): a UDP port for one client while its connection is open."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from holloway.errors import BadMessage
from holloway.proxy import socks5
from holloway.proxy.flows import Flows, UdpPort
from holloway.proxy.relay import Outcome
from holloway.proxy.socks5 import Reply

if TYPE_CHECKING:
    from holloway.proxy.address import Address
    from holloway.proxy.client import Client
    from holloway.proxy.connection_log import ConnectionLog
    from holloway.proxy.networks import ProxyNetwork

MAX_TARGETS: Final = 256
"""Targets that one client may use at the same time."""


class Association(UdpPort):
    """The port, and the UDP flows through it."""

    def __init__(
        self,
        network: ProxyNetwork,
        client: Client,
        request: socks5.Request,
        connection_log: ConnectionLog,
    ) -> None:
        self._client = client
        self._connection_log = connection_log
        self._flows: Flows[Address] = Flows(network, self._answer, max_flows=MAX_TARGETS)
        self._client_address: Address | None = None
        self._port = request.port
        self._sent = self._received = 0

    async def run(self) -> Outcome:
        """Serve until the client closes its connection."""
        loop = asyncio.get_running_loop()
        host = self._client.socket.getsockname()[0]
        try:
            await loop.create_datagram_endpoint(lambda: self, local_addr=(host, 0))
            assert self.transport is not None
            name = self.transport.get_extra_info("sockname")
            await self._client.send(socks5.write_reply(Reply.SUCCEEDED, name[0], name[1]))
            with contextlib.suppress(ConnectionError):
                while await self._client.reader.more():
                    pass
        finally:
            self._flows.close()
            if self.transport is not None:
                self.transport.close()
        return Outcome(self._sent, self._received)

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self._is_from_client(addr):
            return
        try:
            datagram = socks5.read_datagram_untrusted(data)
        except BadMessage:
            self._connection_log.datagrams["misunderstood"] += 1
            return
        self._sent += len(datagram.payload)
        self._connection_log.datagrams["sent"] += 1
        target = (datagram.host, datagram.port)
        self._flows.send(target, target, datagram.payload)

    def _is_from_client(self, addr: tuple[str, int]) -> bool:
        """Whether a datagram comes from the client's host, and from the port of its first one."""
        if self._client_address is None:
            is_it = addr[0] == self._client.connection.client[0] and self._port in (0, addr[1])
            self._client_address = addr[:2] if is_it else None
        return self._client_address == addr[:2]

    def _answer(self, key: Address, data: bytes, peer: Address | None) -> None:
        host, port = peer or key
        self._received += len(data)
        self._connection_log.datagrams["received"] += 1
        answer = socks5.write_datagram(socks5.Datagram(host, port, data))
        self.send(answer, self._client_address)

"""UDP ASSOCIATE of SOCKS5 (RFC 1928, 7): a UDP port for one client while its connection is open.

It belongs to the client that asked for it: to its address, to the port if the client named one, and
to its user if the client is on this host.
"""

from __future__ import annotations

import asyncio
import contextlib
from socket import IPPROTO_TCP, IPPROTO_UDP
from typing import TYPE_CHECKING

from holloway.errors import BadMessage
from holloway.netlink import sock_diag
from holloway.proxy import socks5
from holloway.proxy.flows import Flows, UdpPort
from holloway.proxy.relay import Outcome
from holloway.proxy.socks5 import Reply

if TYPE_CHECKING:
    from holloway.proxy.address import Address
    from holloway.proxy.client import Client
    from holloway.proxy.connection_log import ConnectionLog
    from holloway.proxy.flows import ServiceFlows
    from holloway.proxy.networks import ProxyNetwork


class Association(UdpPort):
    """The port, and the UDP flows through it."""

    def __init__(
        self,
        network: ProxyNetwork,
        client: Client,
        request: socks5.Request,
        connection_log: ConnectionLog,
        flows: ServiceFlows,
    ) -> None:
        self._client = client
        self._connection_log = connection_log
        self._timeout = flows.limits.association_timeout
        self._flows: Flows[Address] = Flows(network, self._answer, lambda _: client.source, flows)
        self._senders: Senders | None = None
        self._client_address: Address | None = None
        self._port = request.port
        self._sent = self._received = 0
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()

    async def run(self) -> Outcome:
        """Serve until the client closes its connection, or no datagram has come for long."""
        host = self._client.socket.getsockname()[0]
        try:
            await self._loop.create_datagram_endpoint(lambda: self, local_addr=(host, 0))
            assert self.transport is not None
            name = self.transport.get_extra_info("sockname")[:2]
            self._senders = Senders(self._client, self._port, name)
            await self._client.send(socks5.write_reply(Reply.SUCCEEDED, *name))
            with contextlib.suppress(ConnectionError):
                await self._until_closed_or_idle()
        finally:
            self._flows.close()
            if self.transport is not None:
                self.transport.close()
        return Outcome(self._sent, self._received)

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self._is_from_client(addr[:2]):
            return
        try:
            datagram = socks5.read_datagram_untrusted(data)
        except BadMessage:
            self._connection_log.datagrams["misunderstood"] += 1
            return
        self._last = self._loop.time()
        self._sent += len(datagram.payload)
        self._connection_log.datagrams["sent"] += 1
        target = (datagram.host, datagram.port)
        self._flows.send(target, target, datagram.payload)

    async def _until_closed_or_idle(self) -> None:
        while (end := self._last + self._timeout) > self._loop.time():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(end):
                    while await self._client.reader.more():
                        pass
                    return

    def _is_from_client(self, addr: Address) -> bool:
        """Whether a datagram comes from where the first one of the client came from."""
        if self._client_address is None and self._senders is not None:
            self._client_address = addr if self._senders.include(addr) else None
        return self._client_address == addr

    def _answer(self, key: Address, data: bytes, peer: Address | None) -> None:
        host, port = peer or key
        self._last = self._loop.time()
        self._received += len(data)
        self._connection_log.datagrams["received"] += 1
        answer = socks5.write_datagram(socks5.Datagram(host, port, data))
        self.send(answer, self._client_address)


class Senders:
    """Who may use an association whose UDP port is `own`."""

    def __init__(self, client: Client, port: int, own: Address) -> None:
        self._host = client.connection.client[0]
        self._port = port  # 0 where the client did not say
        self._own = own
        self._user = None
        with contextlib.suppress(OSError):  # where the kernel has no sock_diag
            here = client.socket.getsockname()[:2]
            user = sock_diag.owner(IPPROTO_TCP, client.connection.client, here)
            # Without UDP's part of sock_diag, not even our own port can be seen.
            if sock_diag.owner(IPPROTO_UDP, own, (self._host, self._port)) is not None:
                self._user = user

    def include(self, addr: Address) -> bool:
        """Whether it is the client's host and port, and on this host its user."""
        if addr[0] != self._host or self._port not in (0, addr[1]):
            return False
        if self._user is None:
            return True
        try:
            return sock_diag.owner(IPPROTO_UDP, addr, self._own) == self._user
        except OSError:
            return False

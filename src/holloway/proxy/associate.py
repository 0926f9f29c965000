"""UDP ASSOCIATE of SOCKS5 (RFC 1928, 7): a UDP port for one client while its connection stands."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from holloway.errors import BadMessage
from holloway.proxy import socks5
from holloway.proxy.flows import Flows, Port
from holloway.proxy.relay import Outcome
from holloway.proxy.socks5 import Reply

if TYPE_CHECKING:
    from holloway.proxy.door import Visitor
    from holloway.proxy.journal import Journal
    from holloway.proxy.side import Address, Side

MOST: Final = 256
"""Targets that one client may speak with at a time."""


class Association(Port):
    """The port, and the conversations through it."""

    def __init__(
        self, side: Side, visitor: Visitor, request: socks5.Request, journal: Journal
    ) -> None:
        self._visitor = visitor
        self._journal = journal
        self._flows: Flows[Address] = Flows(side, self._answer, most=MOST)
        self._client: Address | None = None
        self._port = request.port
        self._sent = self._received = 0

    async def run(self) -> Outcome:
        """Serve until the client's connection ends."""
        loop = asyncio.get_running_loop()
        host = self._visitor.socket.getsockname()[0]
        try:
            await loop.create_datagram_endpoint(lambda: self, local_addr=(host, 0))
            assert self.transport is not None
            name = self.transport.get_extra_info("sockname")
            await self._visitor.send(socks5.write_reply(Reply.SUCCEEDED, name[0], name[1]))
            with contextlib.suppress(ConnectionError):
                while await self._visitor.reader.more():
                    pass
        finally:
            self._flows.close()
            if self.transport is not None:
                self.transport.close()
        return Outcome(self._sent, self._received)

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self._is_client(addr):
            return
        try:
            datagram = socks5.read_datagram_untrusted(data)
        except BadMessage:
            self._journal.datagrams["misunderstood"] += 1
            return
        self._sent += len(datagram.payload)
        self._journal.datagrams["sent"] += 1
        target = (datagram.host, datagram.port)
        self._flows.send(target, target, datagram.payload)

    def _is_client(self, addr: tuple[str, int]) -> bool:
        """Whether it is who asked: from its host, and always from one port."""
        if self._client is None:
            is_it = addr[0] == self._visitor.connection.client[0] and self._port in (0, addr[1])
            self._client = addr[:2] if is_it else None
        return self._client == addr[:2]

    def _answer(self, key: Address, data: bytes, peer: Address | None) -> None:
        host, port = peer or key
        self._received += len(data)
        self._journal.datagrams["received"] += 1
        answer = socks5.write_datagram(socks5.Datagram(host, port, data))
        self.send(answer, self._client)

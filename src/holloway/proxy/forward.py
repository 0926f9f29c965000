"""Port forwards: what comes to a port of one side goes to one target on the other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from holloway.proxy.flows import Flows, Port
from holloway.proxy.side import show

if TYPE_CHECKING:
    from holloway.proxy.door import Visitor
    from holloway.proxy.journal import Journal
    from holloway.proxy.relay import Outcome
    from holloway.proxy.side import Address, Side


class Forward:
    """The service behind a TCP port: there is but one place to go."""

    def __init__(self, side: Side, target: Address, name: str) -> None:
        self.name = name
        self._side = side
        self._target = target

    async def serve(self, visitor: Visitor) -> Outcome:
        visitor.admit(show(self._target))
        target = await visitor.reach(self._side, *self._target)
        return await visitor.relay(target)


class DatagramForward(Port):
    """A UDP port, and a conversation with the target for each client that speaks to it."""

    def __init__(self, side: Side, target: Address, journal: Journal, idle: float) -> None:
        self._target = target
        self._journal = journal
        self._flows: Flows[Address] = Flows(side, self._answer, idle=idle)

    @property
    def address(self) -> Address:
        """Where it listens."""
        assert self.transport is not None
        host, port = self.transport.get_extra_info("sockname")[:2]
        return host, port

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._journal.datagrams["sent"] += 1
        self._flows.send(addr, self._target, data)

    def close(self) -> None:
        """Listen no more and end every conversation."""
        self._flows.close()
        if self.transport is not None:
            self.transport.close()

    def _answer(self, key: Address, data: bytes, peer: Address | None) -> None:
        del peer
        self._journal.datagrams["received"] += 1
        self.send(data, key)

"""UDP flows: each key has a port of its own towards its target, until the flow is idle.

So answers find their way back, and datagrams that nobody asked for do not come in. Each flow takes
a place of the proxy, and all flows together take at most half of the places; then a flow of whoever
has most of them ends for each new one. The queue of a flow whose port is not open yet is bounded
too. Used by SOCKS5 associations and by UDP forwards.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Hashable
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from holloway.proxy.by_source import BySource
from holloway.proxy.timeouts import Timeouts

if TYPE_CHECKING:
    from collections.abc import Callable

    from holloway.proxy.address import Address
    from holloway.proxy.limits import ConnectionLimits, Places
    from holloway.proxy.networks import ProxyNetwork

Key = TypeVar("Key", bound=Hashable)

MAX_FLOWS: Final = 1024
OPEN_TIMEOUT: Final = 30.0
"""Seconds in which a port has to open; the name of the target may have to be looked up first."""
ASSOCIATION_TIMEOUT: Final = 300.0
"""Idle seconds after which an association ends (RFC 4787, REQ-5)."""
MAX_QUEUED: Final = 16
"""Datagrams that wait while a port opens; the rest is dropped."""


class UdpPort(asyncio.DatagramProtocol):
    """A UDP port that drops what the socket has no room for, instead of queueing it."""

    transport: asyncio.DatagramTransport | None = None
    _is_full = False

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False

    def send(self, data: bytes, address: Address | None = None) -> None:
        """Send a datagram, or drop it if the socket is full."""
        if self.transport is not None and not self._is_full:
            self.transport.sendto(data, address)

    def error_received(self, exc: Exception) -> None:
        """Ignore the error: UDP cannot pass it on to the client."""


class Flow(UdpPort):
    """One flow."""

    def __init__(
        self,
        source: Hashable,
        receive: Callable[[bytes, Address | None], None],
        drop: Callable[[], None],
    ) -> None:
        self.source = source
        self.drop = drop
        """Ends it, and forgets it."""
        self.queue: list[bytes] = []
        self.opening: asyncio.Task[None] | None = None
        self._receive = receive
        self._peer: Address | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername")
        self._peer = peer[:2] if isinstance(peer, tuple) else None

    def datagram_received(self, data: bytes, addr: object) -> None:
        del addr  # the socket is connected
        self._receive(data, self._peer)

    def close(self) -> None:
        if self.opening is not None:
            self.opening.cancel()
        if self.transport is not None:
            self.transport.abort()


class FlowLimits:
    """Shared by all UDP ports of a proxy."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.association_timeout = ASSOCIATION_TIMEOUT
        self._limits = limits
        self._max = max(1, limits.capacity // 2)
        self._places: Places | None = None
        self._services: list[ServiceFlows] = []

    def add_service(self, *, idle: float, max_flows: int = MAX_FLOWS) -> ServiceFlows:
        """Return the flows of another forward, or of all associations of a SOCKS5 port.

        A port has at most `max_flows`, which end after `idle` seconds without a datagram, 0 for
        never.
        """
        if self._places is None:
            self._places = self._limits.add_listener(lambda _: None)
        service = ServiceFlows(self, idle, max_flows)
        self._services.append(service)
        return service

    def acquire(self) -> bool:
        """Take a place for a flow; may end another one. False if connections have all places."""
        assert self._places is not None
        while self._places.used >= self._max or not self._places.try_acquire():
            largest = max(self._services, key=len)
            if not largest:
                return False
            _, flow = largest.oldest()
            flow.drop()
        return True

    def release(self) -> None:
        """Give a place back."""
        assert self._places is not None
        self._places.release()


class ServiceFlows(BySource[Flow]):
    """The flows of all ports of a service."""

    def __init__(self, limits: FlowLimits, idle: float, max_flows: int) -> None:
        super().__init__()
        self.limits = limits
        self.idle = idle
        self.max_flows = max_flows

    def begin(self, flow: Flow) -> bool:
        """Take a place for a flow; returns whether there is one."""
        if not self.limits.acquire():
            return False
        self.add(flow.source, flow)
        return True

    def end(self, flow: Flow) -> None:
        """Give the place of a flow back."""
        if self.discard(flow.source, flow):
            self.limits.release()


class Flows(Generic[Key]):
    """The flows of one port; `answer` is called with each datagram that comes back.

    `source_of` says whose the flow of a key is.
    """

    def __init__(
        self,
        network: ProxyNetwork,
        answer: Callable[[Key, bytes, Address | None], None],
        source_of: Callable[[Key], Hashable],
        service: ServiceFlows,
    ) -> None:
        self._network = network
        self._answer = answer
        self._source_of = source_of
        self._service = service
        self._flows: dict[Key, Flow] = {}
        self._idle = Timeouts(service.idle, self._drop) if service.idle else None

    def __len__(self) -> int:
        return len(self._flows)

    def send(self, key: Key, target: Address, data: bytes) -> None:
        """Send a datagram; opens a port if there is none for this key yet."""
        flow = self._flows.get(key) or self._open(key, target)
        if flow is None:
            return
        self._touch(key)
        if flow.transport is not None:
            flow.send(data)
        elif len(flow.queue) < MAX_QUEUED:
            flow.queue.append(data)

    def close(self) -> None:
        """End every flow."""
        for key in list(self._flows):
            self._drop(key)
        if self._idle is not None:
            self._idle.close()

    def _open(self, key: Key, target: Address) -> Flow | None:
        if len(self._flows) >= self._service.max_flows:
            self._drop_one()

        def receive(data: bytes, peer: Address | None) -> None:
            self._touch(key)
            self._answer(key, data, peer)

        flow = Flow(self._source_of(key), receive, lambda: self._drop(key))
        if not self._service.begin(flow):
            return None
        self._flows[key] = flow
        flow.opening = asyncio.create_task(self._connect(key, flow, target))
        return flow

    async def _connect(self, key: Key, flow: Flow, target: Address) -> None:
        try:
            async with asyncio.timeout(OPEN_TIMEOUT):
                flow.transport, _ = await self._network.create_datagram_endpoint(
                    lambda: flow, remote_addr=target
                )
        except OSError:
            # The queued datagrams are lost; the next one tries again.
            if self._flows.get(key) is flow:
                self._drop(key)
            return
        flow.opening = None
        for data in flow.queue:
            flow.send(data)
        flow.queue.clear()

    def _touch(self, key: Key) -> None:
        """Note that the flow is in use, and put it last in the order of removal."""
        flow = self._flows.pop(key, None)
        if flow is not None:
            self._flows[key] = flow
            self._service.add(flow.source, flow)
            if self._idle is not None:
                self._idle.add(key)

    def _drop(self, key: Key) -> None:
        flow = self._flows.pop(key)
        if self._idle is not None:
            self._idle.remove(key)
        self._service.end(flow)
        flow.close()

    def _drop_one(self) -> None:
        """End the oldest flow of the source that has most of them."""
        counts = Counter(flow.source for flow in self._flows.values())
        source = max(counts, key=counts.__getitem__)
        self._drop(next(key for key, flow in self._flows.items() if flow.source == source))

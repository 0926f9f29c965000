"""UDP flows: each key has a port of its own towards its target, until the flow is idle.

So answers find their way back, and datagrams that nobody asked for do not come in. The number of
flows is bounded, and so is the queue of a flow whose port is not open yet. Used by SOCKS5
associations and by UDP forwards.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from holloway.proxy.address import Address
    from holloway.proxy.networks import ProxyNetwork

Key = TypeVar("Key")

MAX_FLOWS: Final = 1024
OPEN_TIMEOUT: Final = 30.0
"""Seconds in which a port has to open; the name of the target may have to be looked up first."""
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

    def __init__(self, receive: Callable[[bytes, Address | None], None]) -> None:
        self.queue: list[bytes] = []
        self.opening: asyncio.Task[None] | None = None
        self.last = 0.0
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
            self.transport.close()


class Flows(Generic[Key]):
    """The flows of one port; `answer` is called with each datagram that comes back."""

    def __init__(
        self,
        network: ProxyNetwork,
        answer: Callable[[Key, bytes, Address | None], None],
        *,
        idle: float = 0.0,
        max_flows: int = MAX_FLOWS,
    ) -> None:
        self._network = network
        self._answer = answer
        self._idle = idle
        self._max_flows = max_flows
        self._flows: dict[Key, Flow] = {}
        self._loop = asyncio.get_running_loop()
        self._idle_timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._flows)

    def send(self, key: Key, target: Address, data: bytes) -> None:
        """Send a datagram; opens a port if there is none for this key yet."""
        flow = self._flows.get(key) or self._open(key, target)
        self._touch(key)
        if flow.transport is not None:
            flow.send(data)
        elif len(flow.queue) < MAX_QUEUED:
            flow.queue.append(data)

    def close(self) -> None:
        """End every flow."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        for flow in self._flows.values():
            flow.close()
        self._flows.clear()

    def _open(self, key: Key, target: Address) -> Flow:
        if len(self._flows) >= self._max_flows:
            self._drop(next(iter(self._flows)))

        def receive(data: bytes, peer: Address | None) -> None:
            self._touch(key)
            self._answer(key, data, peer)

        flow = self._flows[key] = Flow(receive)
        flow.opening = asyncio.create_task(self._connect(key, flow, target))
        if self._idle and self._idle_timer is None:
            self._idle_timer = self._loop.call_later(self._idle, self._drop_idle)
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
                del self._flows[key]
            return
        flow.opening = None
        for data in flow.queue:
            flow.send(data)
        flow.queue.clear()

    def _touch(self, key: Key) -> None:
        """Note that the flow is in use, and put it last in the order of removal."""
        with contextlib.suppress(KeyError):
            flow = self._flows[key] = self._flows.pop(key)
            flow.last = self._loop.time()

    def _drop(self, key: Key) -> None:
        self._flows.pop(key).close()

    def _drop_idle(self) -> None:
        self._idle_timer = None
        now = self._loop.time()
        while self._flows:
            key, flow = next(iter(self._flows.items()))
            if flow.last + self._idle > now:
                self._idle_timer = self._loop.call_at(flow.last + self._idle, self._drop_idle)
                return
            self._drop(key)

"""Two devices, a link that loses, delays, reorders and duplicates, and a clock that only jumps.

Tests schedule events and advance the clock; nothing here waits.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from random import Random

from holloway.core.constants import SECOND, Nanoseconds
from holloway.core.sent_initiations import SentInitiations
from holloway.key import Key
from holloway.model import AllowedIP, DeviceUpdate, Endpoint, PeerUpdate
from sim.device import SimDevice
from sim.plane import SimPeer, SimPlane
from sim.values import (
    ActiveEvent,
    ConfirmedEvent,
    CookieEvent,
    Datagram,
    HandshakeDatagram,
    HandshakeEvent,
    SimEndpoint,
    StaleEvent,
    UnknownIndexEvent,
)

WALL = 1_700_000_000 * SECOND


def seconds(amount: float) -> Nanoseconds:
    return Nanoseconds(round(amount * SECOND))


def dispatch(now: Nanoseconds, plane: SimPlane, device: SimDevice) -> int:
    """What the shell does when the plane's eventfd is readable; returns how many events it took."""
    taken = 0
    while events := plane.events():
        taken += len(events)
        for event in events:
            match event:
                case HandshakeEvent(message, size, remote):
                    device.handle_handshake(now, message, size, remote)
                case StaleEvent(peer):
                    device.handle_session_needed(now, peer)
                case ActiveEvent(peer):
                    device.handle_debt_began(now, peer)
                case ConfirmedEvent(peer):
                    device.handle_confirmed(now, peer)
                case CookieEvent(peer):
                    device.handle_cookie_received(now, peer)
                case UnknownIndexEvent(peer):
                    device.handle_unknown_index(now, peer)
    return taken


@dataclass
class Link:
    """How the network between the two behaves."""

    random: Random
    latency: float = 0.01
    jitter: float = 0.0
    loss: float = 0.0
    duplication: float = 0.0
    is_cut: bool = False

    def cut(self) -> None:
        self.is_cut = True

    def mend(self) -> None:
        self.is_cut = False

    def delays(self) -> list[Nanoseconds]:
        """When each copy of one datagram arrives."""
        if self.is_cut:
            return []
        copies = 2 if self.random.random() < self.duplication else 1
        arriving = (copy for copy in range(copies) if self.random.random() >= self.loss)
        return [seconds(self.latency + self.random.random() * self.jitter) for _ in arriving]


class Side:
    """One device and its host."""

    def __init__(self, pair: Pair, host: str, seed: int) -> None:
        self.address = SimEndpoint(host, 51820)
        self.private_key = Key(Random(seed).randbytes(32)).clamped()
        self.public_key = self.private_key.public()
        self.wall_offset = 0
        self.heard: list[HandshakeDatagram] = []
        self.wakings = 0  # how often the plane or a deadline called the brain
        self._pair = pair
        self._numbers = count()
        self._random = Random(seed + 1)
        self.restart()

    def restart(self) -> None:
        """The process dies and starts again, without sessions and without memory."""
        self.sent_initiations = SentInitiations()
        self.reopen()

    def reopen(self) -> None:
        """The process makes a new device, without sessions."""
        self.plane = SimPlane(lambda: self._pair.now, self._transmit)
        self.device = SimDevice(
            self.plane,
            random=self._random.randbytes,
            wall=lambda: WALL + self._pair.now + self.wall_offset,
            sent_initiations=self.sent_initiations,
        )

    def configure(self, other: Side, preshared_key: Key | None = None) -> None:
        peer = PeerUpdate(
            other.public_key,
            preshared_key=preshared_key,
            endpoint=Endpoint(other.address.host, other.address.port),
            allowed_ips=(AllowedIP.parse("0.0.0.0/0"),),
        )
        self.update(DeviceUpdate(self.private_key, 51820, peers=(peer,)))
        self.device.up(self._pair.now)
        self.settle()

    def update(self, update: DeviceUpdate) -> None:
        self.device.configure(self._pair.now, update)
        self.settle()

    @property
    def peer(self) -> SimPeer:
        return self.plane.only()

    @property
    def received(self) -> list[bytes]:
        return self.plane.received

    @property
    def handshakes_started(self) -> int:
        return len(self.plane.happened("initiation"))

    @property
    def keepalives_sent(self) -> int:
        return len(self.plane.happened("keepalive"))

    @property
    def latest_handshake(self) -> int:
        return self.device.state("sim").peers[0].latest_handshake

    def send_data(self, payload: bytes | None = None) -> bytes:
        """Send a packet into the tunnel; without a payload, one unlike all others."""
        if payload is None:
            payload = self.new_payload()
        self.peer.send(payload)
        self.settle()
        return payload

    def new_payload(self) -> bytes:
        """Return a payload unlike all others, with the address of this side."""
        return b"%s packet %d" % (self.address.host.encode(), next(self._numbers))

    def deliver(self, datagram: Datagram, remote: SimEndpoint) -> None:
        if isinstance(datagram, HandshakeDatagram):
            self.heard.append(datagram)
        self.plane.deliver(datagram, remote)
        self.settle()

    def settle(self) -> None:
        self.wakings += dispatch(self._pair.now, self.plane, self.device)

    def handle_timeout(self) -> None:
        deadline = self.device.next_timeout()
        if deadline is None or deadline > self._pair.now:
            return
        self.wakings += 1
        self.device.handle_timeout(self._pair.now)
        self.settle()

    def _transmit(self, datagram: Datagram, endpoint: SimEndpoint) -> None:
        self._pair.carry(self, datagram, endpoint)


class Pair:
    """Two sides, `a` and `b`, and the time."""

    def __init__(self, *, seed: int = 1, preshared_key: Key | None = None) -> None:
        self.now = seconds(1000)
        self.link = Link(Random(seed))
        self._queue: list[tuple[Nanoseconds, int, Callable[[], object]]] = []
        self._order = count()
        self.a = Side(self, "192.0.2.1", 10 * seed + 2)
        self.b = Side(self, "192.0.2.2", 10 * seed + 4)
        self.a.configure(self.b, preshared_key)
        self.b.configure(self.a, preshared_key)

    @classmethod
    def established(cls, *, seed: int = 1) -> Pair:
        """A pair with one session, initiated by `a`, used both ways, and no debt."""
        pair = cls(seed=seed)
        pair.a.send_data()
        pair.run(0.1)
        pair.b.send_data()
        pair.run(11)
        assert pair.a.latest_handshake
        assert pair.b.latest_handshake
        return pair

    def at(self, after: float, what: Callable[[], object]) -> None:
        """Have something happen later."""
        self._push(seconds(after), what)

    def every(self, interval: float, what: Callable[[], object], *, until: float) -> None:
        """Have something happen again and again."""
        steps = int(until / interval)
        for step in range(1, steps + 1):
            self.at(step * interval, what)

    def run(self, duration: float) -> None:
        """Let time pass, and do everything at its time."""
        end = Nanoseconds(self.now + seconds(duration))
        while (moment := self._next()) is not None and moment <= end:
            self.now = max(self.now, moment)
            while self._queue and self._queue[0][0] <= self.now:
                heapq.heappop(self._queue)[2]()
            self.a.handle_timeout()
            self.b.handle_timeout()
        self.now = end

    def carry(self, source: Side, datagram: Datagram, endpoint: SimEndpoint) -> None:
        """Deliver a datagram to the side that has its address when it arrives."""
        remote = source.address
        for delay in self.link.delays():
            self._push(delay, lambda: self._arrive(datagram, endpoint, remote))

    def _arrive(self, datagram: Datagram, endpoint: SimEndpoint, remote: SimEndpoint) -> None:
        for side in (self.a, self.b):
            if side.address == endpoint:
                side.deliver(datagram, remote)

    def _push(self, delay: Nanoseconds, what: Callable[[], object]) -> None:
        heapq.heappush(self._queue, (Nanoseconds(self.now + delay), next(self._order), what))

    def _next(self) -> Nanoseconds | None:
        moments = [self.a.device.next_timeout(), self.b.device.next_timeout()]
        if self._queue:
            moments.append(self._queue[0][0])
        return min((moment for moment in moments if moment is not None), default=None)

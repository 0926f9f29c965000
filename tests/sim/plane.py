"""A plane made of Python values, for tests of the brain: `core.plane.Plane` without packets.

Sessions, staged packets, debts and the one-shot events are those of the real plane; encryption is
the equality of keys. Everything it does is in `actions`, with its time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from holloway.core.constants import SECOND, Nanoseconds
from holloway.core.noise import SessionKeys
from holloway.core.wire import INITIATION_TYPE
from holloway.model import AllowedIP, PeerUpdate
from sim.values import (
    Action,
    ActiveEvent,
    ConfirmedEvent,
    Datagram,
    Event,
    HandshakeDatagram,
    HandshakeEvent,
    SimEndpoint,
    StaleEvent,
    TransportDatagram,
    UnknownIndexEvent,
)

MAX_STAGED = 128
INTERVAL = 5 * SECOND


@dataclass
class Session:
    local_index: int
    remote_index: int
    send_key: bytes
    receive_key: bytes
    renew_on_send: int
    renew_on_receive: int
    reject: int
    born: int
    counter: int = 0
    seen: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class SimDue:
    keepalive: bool
    handshake: bool
    persistent: bool
    next: int | None


class SimPeer:
    """One peer's half."""

    def __init__(self, plane: SimPlane, number: int, public_key: bytes) -> None:
        self.public_key = public_key
        self.staged: deque[bytes] = deque()
        self.previous: Session | None = None
        self.current: Session | None = None
        self.next: Session | None = None
        self.networks: dict[AllowedIP, None] = {}
        self.removed = False
        self._plane = plane
        self._id = number
        self._endpoint: SimEndpoint | None = None
        self._awaiting: int | None = None
        self._owed_since: int | None = None
        self._awaited_since: int | None = None
        self._last_traffic: int | None = None
        self._armed = True
        self._watched = True
        self._rx = 0
        self._tx = 0
        self._unknown_index_at: int | None = None

    # What the brain calls.

    @property
    def id(self) -> int:
        return self._id

    @property
    def endpoint(self) -> SimEndpoint | None:
        return self._endpoint

    def set_endpoint(self, endpoint: SimEndpoint, /) -> None:
        self._endpoint = endpoint

    def forget_source(self) -> None:
        self._act("forget source")
        if self._endpoint is not None:
            self._endpoint = replace(self._endpoint, local=None)

    def change_allowed_ips(self, change: PeerUpdate, /) -> None:
        if change.replace_allowed_ips:
            self.networks.clear()
        for network in change.removed_allowed_ips:
            self.networks.pop(network, None)
        for network in change.allowed_ips:
            for peer in self._plane.peers.values():
                peer.networks.pop(network, None)
            self.networks[network] = None

    def traffic(self) -> tuple[int, int]:
        return self._rx, self._tx

    def discards(self) -> dict[str, int]:
        return {}

    def handshake_received(self, remote: SimEndpoint, size: int, now: int, /) -> None:
        self._endpoint = remote
        self._rx += size
        self._received(data=False)

    def send_handshake(self, message: bytes, now: int, /) -> None:
        if message[0] == INITIATION_TYPE:
            self._act("initiation")
            self._awaiting = int.from_bytes(message[4:8], "little")
        else:
            self._act("response")
        self._transmit(HandshakeDatagram(message), data=False)

    def send_keepalive(self) -> None:
        if not self.staged:
            self.staged.append(b"")
        self._flush()

    def install(
        self,
        keys: SessionKeys,
        /,
        *,
        confirmed: bool,
        renew_on_send: int,
        renew_on_receive: int,
        reject: int,
    ) -> None:
        session = Session(
            keys.local_index,
            keys.remote_index,
            keys.send,
            keys.receive,
            renew_on_send,
            renew_on_receive,
            reject,
            self._plane.now(),
        )
        self._plane.installed.append(keys.send)
        if not confirmed:
            self.next, self.previous = session, None
            return
        self._awaiting = None
        self.previous = self.next or self.current
        self.current, self.next = session, None
        self.send_keepalive()

    def due(self, now: int, keepalive: int, handshake: int, persistent: int, /) -> SimDue:
        owed = self._owed_since is not None and now >= self._owed_since + keepalive
        awaited = self._awaited_since is not None and now >= self._awaited_since + handshake
        if owed:
            self._owed_since = None
        if awaited:
            self._awaited_since = None
        silent = False
        looks = []
        if persistent:
            last = self._last_traffic
            silent = last is None or now >= last + persistent
            if silent or last is None:
                self._last_traffic = last = now
            looks.append(last + persistent)
        ends = []
        if self._owed_since is not None:
            ends.append(self._owed_since + keepalive)
        if self._awaited_since is not None:
            ends.append(self._awaited_since + handshake)
        if ends:
            looks += [min(ends), now + keepalive]
        else:
            self._armed = True
        return SimDue(owed, awaited, silent, min(looks) if looks else None)

    def arm_session_needed(self) -> None:
        self._watched = True

    def drop_staged(self) -> None:
        self._act("drop staged")
        self.staged.clear()

    def erase(self) -> None:
        self._act("erase")
        self.previous = self.current = self.next = None
        self._awaiting = None

    def remove(self) -> None:
        self.removed = True
        del self._plane.peers[self._id]

    # What the network and the interface do.

    def send(self, payload: bytes) -> None:
        """A packet of the host's for this peer."""
        if self._endpoint is None:
            return
        self.staged.append(payload)
        if len(self.staged) > MAX_STAGED:
            self.staged.popleft()
        self._flush()

    def sessions(self) -> list[Session]:
        return [each for each in (self.previous, self.current, self.next) if each is not None]

    def indices(self) -> set[int | None]:
        return {self._awaiting, *(session.local_index for session in self.sessions())}

    def awaits(self, message: bytes) -> bool:
        return self._awaiting == int.from_bytes(message[8:12], "little")

    def open(self, session: Session, datagram: TransportDatagram, remote: SimEndpoint) -> bool:
        """Take an encrypted packet of a session of this peer; return whether it is valid."""
        now = self._plane.now()
        if now >= session.reject or datagram.key != session.receive_key:
            return False
        if datagram.counter in session.seen:
            return False
        session.seen.add(datagram.counter)
        self._endpoint = remote
        self._rx += datagram.size
        confirms = session is self.next
        if confirms:
            self.previous, self.current, self.next = self.current, session, None
            self._plane.push(ConfirmedEvent(self._id))
        current = self.current
        if current is not None and now >= current.renew_on_receive and now < current.reject:
            current.renew_on_receive = 2**64
            self._stale()
        self._received(data=bool(datagram.payload))
        if confirms and self.staged:
            self._flush()
        return True

    def unknown_index(self, remote: SimEndpoint) -> None:
        """Data came from an endpoint under an index that no session has."""
        now = self._plane.now()
        lives = self.current is not None and now < self.current.reject
        last = self._unknown_index_at
        if self._endpoint == remote and not lives and (last is None or now >= last + INTERVAL):
            self._unknown_index_at = now
            self._plane.push(UnknownIndexEvent(self._id))

    def _flush(self) -> None:
        now = self._plane.now()
        session = self.current
        if session is None or now >= session.reject:
            self._stale()
            return
        while self.staged:
            payload = self.staged.popleft()
            self._act("data" if payload else "keepalive")
            datagram = TransportDatagram(
                session.remote_index, session.send_key, session.counter, payload
            )
            session.counter += 1
            self._transmit(datagram, data=bool(payload))
        if now >= session.renew_on_send:
            self._stale()

    def _transmit(self, datagram: Datagram, *, data: bool) -> None:
        now = self._plane.now()
        self._last_traffic = now
        self._owed_since = None
        if data and self._awaited_since is None:
            self._awaited_since = now
            self._activate()
        if self._endpoint is not None:
            self._tx += datagram.size
            self._plane.transmit(datagram, self._endpoint)

    def _received(self, *, data: bool) -> None:
        now = self._plane.now()
        self._last_traffic = now
        self._awaited_since = None
        if data and self._owed_since is None:
            self._owed_since = now
            self._activate()

    def _activate(self) -> None:
        if self._armed:
            self._armed = False
            self._plane.push(ActiveEvent(self._id))

    def _stale(self) -> None:
        if self._watched:
            self._watched = False
            self._plane.push(StaleEvent(self._id))

    def _act(self, what: str) -> None:
        self._plane.actions.append(Action(self._plane.now(), what, self._id))


class SimPlane:
    """The device's half: what `core.plane.Plane` asks for, and a network card."""

    def __init__(
        self,
        now: Callable[[], Nanoseconds],
        transmit: Callable[[Datagram, SimEndpoint], None] = lambda datagram, endpoint: None,
    ) -> None:
        self.now = now
        self.transmit = transmit
        self.actions: list[Action] = []
        self.peers: dict[int, SimPeer] = {}
        self.received: list[bytes] = []
        self.installed: list[bytes] = []  # the keys of all sessions so far
        self.identity: bytes | None = None
        self.bound: tuple[int, int] | None = None
        self.refuse_bind: OSError | None = None
        self.reports_unknown_indices = True
        self._events: deque[Event] = deque()
        self._made = 0

    def bind(self, port: int, fwmark: int, /) -> int:
        if self.refuse_bind is not None:
            raise self.refuse_bind
        self.bound = (port or 40_000, fwmark)
        return self.bound[0]

    def unbind(self) -> None:
        self.bound = None

    def set_identity(self, public_key: bytes | None, /) -> None:
        self.identity = public_key

    def peer(self, public_key: bytes, /) -> SimPeer:
        self._made += 1
        self.peers[self._made] = SimPeer(self, self._made, public_key)
        return self.peers[self._made]

    def uses_index(self, index: int, /) -> bool:
        return any(index in peer.indices() for peer in self.peers.values())

    def push(self, event: Event) -> None:
        self._events.append(event)

    def events(self) -> list[Event]:
        taken = list(self._events)
        self._events.clear()
        return taken

    def only(self) -> SimPeer:
        """The one peer there is."""
        (peer,) = self.peers.values()
        return peer

    def deliver(self, datagram: Datagram, remote: SimEndpoint) -> None:
        """A datagram came from the network."""
        if self.bound is None:
            return
        match datagram:
            case HandshakeDatagram(message):
                response = len(message) > 0 and message[0] != INITIATION_TYPE
                if response and not any(peer.awaits(message) for peer in self.peers.values()):
                    return
                self.push(HandshakeEvent(message, datagram.size, remote))
            case TransportDatagram(receiver):
                for peer in self.peers.values():
                    for session in peer.sessions():
                        if session.local_index == receiver:
                            if peer.open(session, datagram, remote) and datagram.payload:
                                self.received.append(datagram.payload)
                            return
                if self.reports_unknown_indices:
                    for peer in self.peers.values():
                        peer.unknown_index(remote)

    def happened(self, what: str) -> list[Nanoseconds]:
        """When an action of this name was taken."""
        return [action.at for action in self.actions if action.what == what]

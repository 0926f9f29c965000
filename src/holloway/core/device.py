"""The brain of one device: its identity, its peers, and the dispatch of events to peers.

The shell (`tunnel`) passes the plane's events to the `handle_` methods, calls `handle_timeout` at
the time that `next_timeout` returns, and changes the device with `apply`. There is no clock and no
I/O here: every call gets `now`, and the constructor gets functions for wall time and random bytes.
Ephemeral private keys are drawn by the extension unless it gets a function for them, too.

An exception in a `handle_` method is a defect. The shell logs it and goes on; here its peer is made
to try again, because the plane reports some events only once.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Generic

from holloway import model
from holloway.core import noise
from holloway.core.change import DeviceChange, PeerChange
from holloway.core.constants import MAX_PEERS, REJECT_AFTER_TIME, Nanoseconds
from holloway.core.discard import Discard, tally
from holloway.core.indices import Indices
from holloway.core.peer import DeviceContext, Peer
from holloway.core.plane import Endpoint, EndpointType, Plane
from holloway.core.sent_initiations import SentInitiations
from holloway.core.snapshot import DeviceSnapshot, HandshakeSnapshot, PeerSnapshot
from holloway.core.timers import Timer
from holloway.core.wire import Initiation, parse_handshake_untrusted
from holloway.errors import BadMessage, ConfigError
from holloway.key import Key

log = logging.getLogger(__name__)


class Device(Generic[EndpointType]):
    """A WireGuard interface without its packets."""

    def __init__(
        self,
        plane: Plane[EndpointType],
        *,
        random: Callable[[int], bytes],
        wall: Callable[[], int],
        ephemeral: Callable[[], bytes | None] = lambda: None,
        sent_initiations: SentInitiations | None = None,
    ) -> None:
        self._plane = plane
        indices = Indices[Peer[EndpointType]](random, plane.uses_index)
        self._context = DeviceContext[EndpointType](
            random, ephemeral, wall, indices, sent_initiations or SentInitiations()
        )
        self._private_key: Key | None = None
        self._listen_port = 0
        self._fwmark = 0
        self._peers: dict[bytes, Peer[EndpointType]] = {}
        self._by_id: dict[int, Peer[EndpointType]] = {}
        self._discards: Counter[Discard] = Counter()
        self._had_session: dict[bytes, EndpointType] = {}
        self._had_session_until = Nanoseconds(0)

    @property
    def running(self) -> bool:
        """Whether the interface is up."""
        return self._context.running

    @property
    def port_and_mark(self) -> tuple[int, int]:
        """The source port and the firewall mark of sent packets."""
        return self._listen_port, self._fwmark

    @property
    def sessions_begun(self) -> int:
        """How many sessions have begun so far, of all peers."""
        return self._context.sessions_begun

    @property
    def peer_count(self) -> int:
        """How many peers there are."""
        return len(self._peers)

    def up(self, now: Nanoseconds) -> None:
        """Open the sockets and start all peers (wg_open); OSError leaves the device down."""
        if self.running:
            return
        self._listen_port = self._plane.bind(self._listen_port, self._fwmark)
        self._context.running = True
        for peer in self._peers.values():
            self._start(now, peer)

    def down(self, now: Nanoseconds) -> None:
        """Close the sockets and forget all sessions (wg_stop)."""
        if not self.running:
            return
        self._context.running = False
        for peer in self._peers.values():
            peer.stop(now)
        self._plane.unbind()

    def handle_handshake(
        self, now: Nanoseconds, message: bytes, size: int, remote: EndpointType
    ) -> None:
        """Handle a message that passed the plane's `CookieChecker`; `size` includes the macs."""
        if not self.running:
            return
        try:
            self._handle_handshake(now, message, size, remote)
        except Exception:
            self._discards[Discard.INTERNAL_ERROR] += 1
            raise

    def _handle_handshake(
        self, now: Nanoseconds, message: bytes, size: int, remote: EndpointType
    ) -> None:
        try:
            parsed = parse_handshake_untrusted(message)
        except BadMessage:
            self._discards[Discard.BAD_MESSAGE] += 1
            return
        peer: Peer[EndpointType] | None
        if isinstance(parsed, Initiation):
            unproven = self._decrypt_static(parsed)
            if isinstance(unproven, Discard):
                self._discards[unproven] += 1
                _log_invalid("initiation", remote, unproven)
                return
            peer = self._peers[unproven.static_key]
            discard = peer.handle_initiation(now, unproven, size, remote)
        else:
            peer = self._context.indices.awaiting(parsed.receiver)
            if peer is None:
                self._discards[Discard.LATE_RESPONSE] += 1
                _log_invalid("response", remote, Discard.LATE_RESPONSE)
                return
            discard = peer.handle_response(now, parsed, size, remote)
        if discard is not None:
            peer.discards[discard] += 1
            kind = "initiation" if isinstance(parsed, Initiation) else "response"
            _log_invalid(kind, remote, discard)

    def handle_session_needed(self, now: Nanoseconds, peer: int) -> None:
        """Handle `SessionNeeded`: the plane needs a session for this peer."""
        self._handle(now, peer, Peer.handle_session_needed, retry=Timer.RETRANSMIT)

    def handle_debt_began(self, now: Nanoseconds, peer: int) -> None:
        """Handle `DebtBegan`: data to or from this peer is unanswered."""
        self._handle(now, peer, Peer.handle_debt_began, retry=Timer.LOOK)

    def handle_confirmed(self, now: Nanoseconds, peer: int) -> None:
        """Handle `Confirmed`: this peer uses the session that our response created."""
        self._handle(now, peer, Peer.handle_confirmed, retry=Timer.LOOK)

    def handle_cookie_received(self, now: Nanoseconds, peer: int) -> None:
        """Handle `CookieReceived`: this peer wants our initiation again, with its cookie."""
        self._handle(now, peer, Peer.handle_cookie_received, retry=Timer.RETRANSMIT)

    def handle_unknown_index(self, now: Nanoseconds, peer: int) -> None:
        """Handle `UnknownIndex`: this peer may have a session that we lost in a restart."""
        self._handle(now, peer, Peer.reconnect, retry=Timer.LOOK)

    def handle_timeout(self, now: Nanoseconds) -> None:
        """Handle all expired timers; if one raises, those after it are left to the next call."""
        for peer, timer in self._context.timers.expired(now):
            try:
                peer.handle_timer(now, timer)
            except Exception:
                peer.retry(now, timer)
                raise

    def next_timeout(self) -> Nanoseconds | None:
        """Return when to call `handle_timeout`, or None if no timer is set."""
        return self._context.timers.next_timeout()

    def apply(self, now: Nanoseconds, change: DeviceChange[EndpointType]) -> None:
        """Apply a whole change, or raise and change nothing.

        The steps that can fail come first: endpoints (ValueError), the number of peers
        (ConfigError), the sockets (OSError).
        """
        peers = change.peer_changes()
        self._check_room(peers, replace_peers=change.replace_peers)
        self._rebind(change.listen_port, change.fwmark)
        if change.replace_peers:
            for peer in list(self._peers.values()):
                self._remove(peer)
        if change.private_key is not None:
            self._set_private_key(now, Key(change.private_key) or None)
        for peer_change in peers:
            self._apply(now, peer_change)

    def remember(self, now: Nanoseconds, had_session: Mapping[bytes, EndpointType]) -> None:
        """Initiate to these peers once they are set and running: they have a session that we lost.

        By public key, with the endpoint where the peer was last, for one that is given none.
        """
        self._had_session = dict(had_session)
        self._had_session_until = Nanoseconds(now + REJECT_AFTER_TIME)

    def with_session(self, now: Nanoseconds) -> list[Peer[EndpointType]]:
        """Return the peers with a session that is not known to be dead."""
        return [peer for peer in self._peers.values() if peer.has_session(now)]

    def snapshot(self) -> DeviceSnapshot:
        """Return the brain's half of the device's state."""
        return DeviceSnapshot(
            private_key=None if self._private_key is None else self._private_key.raw,
            listen_port=self._listen_port,
            fwmark=self._fwmark,
            peers=[_snapshot(peer) for peer in self._peers.values()],
        )

    def discards(self) -> dict[str, int]:
        """Count the discarded handshake messages by reason, with every reason."""
        total = self._discards.copy()
        for peer in self._peers.values():
            total.update(peer.discards)
        return tally(total)

    def peer_discards(self) -> Iterator[tuple[Peer[EndpointType], dict[str, int]]]:
        """Yield each peer with discarded packets or messages, and their counts by reason."""
        for peer in self._peers.values():
            counts = {why.value: n for why, n in peer.discards.items()} | peer.plane.discards()
            if counts:
                yield peer, counts

    def has_endpoint(self, peer: int) -> bool:
        """Whether the endpoint of the peer with this id is known."""
        found = self._by_id.get(peer)
        return found is not None and found.plane.endpoint is not None

    def has_session(self, now: Nanoseconds, peer: int) -> bool:
        """Whether the peer with this id has a session that is not known to be dead."""
        found = self._by_id.get(peer)
        return found is not None and found.has_session(now)

    def handshake(self, now: Nanoseconds, peer: int) -> HandshakeSnapshot | None:
        """Return how it goes with the handshake of the peer with this id, if there is one."""
        found = self._by_id.get(peer)
        if found is None:
            return None
        seen = found.plane.endpoint
        return HandshakeSnapshot(
            public_key=found.public_key,
            endpoint=None if seen is None else model.Endpoint(seen.host, seen.port),
            has_session=found.has_session(now),
            is_undecryptable=found.discards[Discard.UNDECRYPTABLE] > 0,
            unanswered=found.unanswered(now),
            latest_handshake=found.latest_handshake,
        )

    def _handle(
        self,
        now: Nanoseconds,
        number: int,
        handle: Callable[[Peer[EndpointType], Nanoseconds], None],
        *,
        retry: Timer,
    ) -> None:
        """Pass an event to its peer, unless that has been removed or the device is down."""
        peer = self._by_id.get(number)
        if peer is None or not self.running:
            return
        try:
            handle(peer, now)
        except Exception:
            peer.retry(now, retry)
            raise

    def _decrypt_static(self, message: Initiation) -> noise.UnprovenInitiation | Discard:
        identity = self._context.identity
        if identity is None:
            return Discard.NO_PRIVATE_KEY
        unproven = noise.decrypt_static_untrusted(identity, message)
        if (
            isinstance(unproven, noise.UnprovenInitiation)
            and unproven.static_key not in self._peers
        ):
            return Discard.UNKNOWN_PEER
        return unproven

    def _check_room(
        self, peers: Sequence[PeerChange[EndpointType]], *, replace_peers: bool
    ) -> None:
        """Raise ConfigError if the device would at any moment have more than `MAX_PEERS` peers."""
        if len(self._peers) + len(peers) <= MAX_PEERS:
            return
        present = set() if replace_peers else set(self._peers)
        for peer in peers:
            if peer.remove:
                present.discard(peer.public_key)
            elif not peer.update_only:
                present.add(peer.public_key)
            if len(present) > MAX_PEERS:
                raise ConfigError(f"a device holds at most {MAX_PEERS} peers", key="public_key")

    def _rebind(self, listen_port: int | None, fwmark: int | None) -> None:
        port = self._listen_port if listen_port is None else listen_port
        mark = self._fwmark if fwmark is None else fwmark
        if (port, mark) == (self._listen_port, self._fwmark):
            return
        if self.running:
            port = self._plane.bind(port, mark)
        self._listen_port, self._fwmark = port, mark
        # Routes may depend on the mark, so the recorded source addresses may be wrong (set_port).
        for peer in self._peers.values():
            peer.plane.forget_source()

    def _set_private_key(self, now: Nanoseconds, private_key: Key | None) -> None:
        # The kernel clamps a private key when it is set (noise.c, curve25519_clamp_secret).
        private_key = None if private_key is None else private_key.clamped()
        if private_key == self._private_key:
            return
        identity = None if private_key is None else noise.Identity(private_key.raw)
        if identity is not None and (own := self._peers.get(identity.public_key)) is not None:
            self._remove(own)
        self._private_key = private_key
        self._context.identity = identity
        self._plane.set_identity(None if identity is None else identity.public_key)
        for peer in self._peers.values():
            peer.change_identity(now)

    def _apply(self, now: Nanoseconds, change: PeerChange[EndpointType]) -> None:
        peer = self._peers.get(change.public_key)
        if change.remove:
            if peer is not None:
                self._remove(peer)
            return
        new = peer is None
        if peer is None:
            if change.update_only or self._is_own(change.public_key):
                return
            peer = self._add(change.public_key)
        if change.preshared_key is not None:
            peer.preshared_key = change.preshared_key
        if change.endpoint is not None:
            peer.change_endpoint(now, change.endpoint)
        if change.allowed_ips is not None:
            peer.plane.change_allowed_ips(change.allowed_ips)
        if new and self.running:
            self._start(now, peer)
        if change.persistent_keepalive is not None:
            peer.change_persistent_keepalive(now, change.persistent_keepalive)

    def _start(self, now: Nanoseconds, peer: Peer[EndpointType]) -> None:
        peer.start(now)
        # Not taken away: an interface that goes down and up again has lost the new session too.
        endpoint = self._had_session.get(peer.public_key)
        if endpoint is None or now >= self._had_session_until:
            return
        if peer.plane.endpoint is None:
            peer.change_endpoint(now, endpoint)
        peer.reconnect(now)

    def _is_own(self, public_key: bytes) -> bool:
        """Whether a key is our own: such a peer is silently skipped (netlink.c).

        So all hosts can use the same list of peers.
        """
        identity = self._context.identity
        return identity is not None and identity.public_key == public_key

    def _add(self, public_key: bytes) -> Peer[EndpointType]:
        plane = self._plane.peer(public_key)
        peer = Peer(self._context, public_key, plane)
        self._peers[public_key] = self._by_id[plane.id] = peer
        log.debug("Peer %d created", plane.id)
        return peer

    def _remove(self, peer: Peer[EndpointType]) -> None:
        del self._peers[peer.public_key]
        del self._by_id[peer.plane.id]
        self._discards += peer.discards
        log.debug("Peer %s destroyed", peer)
        peer.remove()


def _log_invalid(kind: str, remote: Endpoint, why: Discard) -> None:
    if log.isEnabledFor(logging.DEBUG):
        place = model.Endpoint(remote.host, remote.port)
        log.debug("Invalid handshake %s from %s (%s)", kind, place, why.value)


def _snapshot(peer: Peer[EndpointType]) -> PeerSnapshot:
    psk = peer.preshared_key
    return PeerSnapshot(
        id=peer.plane.id,
        public_key=peer.public_key,
        preshared_key=None if psk == noise.NO_PRESHARED_KEY else psk,
        latest_handshake=peer.latest_handshake,
        persistent_keepalive=peer.persistent_keepalive,
    )

"""One peer: its handshake state and its three timers (paper, 6; kernel noise.c and timers.c).

A peer decides when to start a handshake, answer one, send a keepalive or erase keys, and acts
through its `PeerPlane`. The plane has the packets and their debts: the peer collects the debts with
`due`, and the plane reports `SessionNeeded`, `DebtBegan`, `Confirmed` and `CookieReceived`.
`device` creates peers and calls them.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic

from holloway import model
from holloway.core import noise, tai64n
from holloway.core.constants import (
    ERASE_AFTER_TIME,
    HANDSHAKE_ATTEMPTS,
    INITIATION_INTERVAL,
    KEEPALIVE_TIMEOUT,
    NEVER,
    NEW_HANDSHAKE_TIME,
    RECONNECT_SPACING,
    REJECT_AFTER_TIME,
    REKEY_AFTER_TIME,
    REKEY_TIMEOUT,
    REKEY_TIMEOUT_JITTER,
    RENEW_ON_RECEIVE_TIME,
    SECOND,
    Nanoseconds,
)
from holloway.core.discard import Discard
from holloway.core.indices import Indices
from holloway.core.plane import EndpointType, PeerPlane
from holloway.core.sent_initiations import SPACING, LastInitiation, SentInitiations
from holloway.core.timers import Timer, Timers
from holloway.core.wire import Response

log = logging.getLogger(__name__)

ONLY_ATTEMPT: Final = HANDSHAKE_ATTEMPTS + 2
"""The count of attempts of an initiation that is not to be sent again; see `Peer.reconnect`."""


@dataclass(frozen=True, slots=True)
class Idle:
    """No handshake of ours is under way."""


@dataclass(frozen=True, slots=True, repr=False)
class Initiated:
    """We sent message 1 and wait for message 2."""

    noise: noise.InitiatorState


# There is no Responded: one call reads message 1 and writes message 2, and the new session waits
# for its confirmation in the plane.
Handshake = Idle | Initiated


@dataclass(slots=True, repr=False)
class DeviceContext(Generic[EndpointType]):
    """The state that the peers of one device share."""

    random: Callable[[int], bytes]
    ephemeral: Callable[[], bytes | None]
    wall: Callable[[], int]
    indices: Indices[Peer[EndpointType]]
    sent_initiations: SentInitiations
    timers: Timers[Peer[EndpointType]] = field(default_factory=Timers)
    identity: noise.Identity | None = None
    running: bool = False
    sessions_begun: int = 0
    free_slot: int = 0

    def reconnect_slot(self, now: Nanoseconds) -> Nanoseconds:
        """Reserve the time of an initiation that no packet of ours asks for."""
        slot = Nanoseconds(max(now, self.free_slot))
        self.free_slot = slot + RECONNECT_SPACING
        return slot


class Peer(Generic[EndpointType]):
    """A peer of a device."""

    def __init__(
        self,
        context: DeviceContext[EndpointType],
        public_key: bytes,
        plane: PeerPlane[EndpointType],
    ) -> None:
        self.public_key = public_key
        self.plane = plane
        self.preshared_key = noise.NO_PRESHARED_KEY
        self.persistent_keepalive = 0
        self.latest_handshake = 0
        self.discards: Counter[Discard] = Counter()
        self._context = context
        self._handshake: Handshake = Idle()
        self._attempts = 0
        self._allowed_at = Nanoseconds(0)  # when we may next send an initiation
        self._not_before = Nanoseconds(0)  # the same, because of an earlier device with our keys
        self._initiate_at: Nanoseconds | None = None  # an initiation that waits for its time
        self._unanswered_since: Nanoseconds | None = None  # the first of our initiations in a row
        self._session_ends_at = Nanoseconds(0)
        self._wanted = False  # we had to initiate, but had no key or no endpoint
        self._arm_at: Nanoseconds | None = None
        self._answer_jitter = self._jitter()
        self._static_static: noise.StaticStatic | None = None  # computed when first needed
        self._last_timestamp = 0
        self._greatest_timestamp = b""
        self._initiation_received_at: Nanoseconds | None = None

    def start(self, now: Nanoseconds) -> None:
        """Start: the interface came up, or the peer was added to one that is up."""
        self._continue_initiations()
        self.plane.arm_session_needed()
        self.keep_alive(now, at_once=self.persistent_keepalive > 0)

    def stop(self, now: Nanoseconds) -> None:
        """Forget sessions, timers and staged packets, as the interface goes down (wg_stop)."""
        self.plane.drop_staged()
        self._context.timers.forget(self)
        self._erase()
        self._attempts = 0
        self._allowed_at = now
        self._arm_at = None
        self._initiate_at = None
        self._wanted = False

    def remove(self) -> None:
        """Leave the device; the object must not be used after this."""
        self._forget_handshake()
        self._context.timers.forget(self)
        self.plane.remove()

    def change_identity(self, now: Nanoseconds) -> None:
        """Use the device's new private key, or none.

        The kernel only stops sending under old sessions (wg_noise_expire_current_peer_keypairs). We
        erase them: packets for the old identity are no longer for us.
        """
        self._static_static = None
        self._erase()
        self._allowed_at = now
        self._continue_initiations()
        if self._context.running:
            self.plane.arm_session_needed()
        self.try_again(now)

    def change_endpoint(self, now: Nanoseconds, endpoint: EndpointType) -> None:
        """Set the address to send to."""
        self.plane.set_endpoint(endpoint)
        self.try_again(now)

    def change_persistent_keepalive(self, now: Nanoseconds, interval: int) -> None:
        """Set after how many seconds of silence to send a keepalive; 0 turns it off."""
        begins = interval > 0 and self.persistent_keepalive == 0
        self.persistent_keepalive = interval
        if self._context.running:
            self.keep_alive(now, at_once=begins)

    def keep_alive(self, now: Nanoseconds, *, at_once: bool) -> None:
        """Do what is due; with `at_once`, send a keepalive even if none is due."""
        if not self._look(now) and at_once:
            self._send_keepalive()

    def try_again(self, now: Nanoseconds) -> None:
        """Send the initiation that waited for a key or an endpoint, if there is one."""
        if self._wanted and self._context.running:
            self.handle_session_needed(now)

    def has_session(self, now: Nanoseconds) -> bool:
        """Whether a session lives, and an attempt to renew it has not been unanswered for long."""
        return now < self._session_ends_at and self.unanswered(now) < REKEY_TIMEOUT

    @property
    def session_ends_at(self) -> Nanoseconds:
        """When the last session ends, or has ended; 0 if there is none."""
        return self._session_ends_at

    def unanswered(self, now: Nanoseconds) -> int:
        """Return how long our initiations have had no answer; 0 if there is none."""
        return 0 if self._unanswered_since is None else now - self._unanswered_since

    def handle_session_needed(self, now: Nanoseconds) -> None:
        """Handle `SessionNeeded`: a packet has no session, or one that must be renewed (send.c)."""
        self._attempts = 0
        if now >= self._allowed_at:
            self._initiate(now)
        else:
            # Arm the event again when an initiation is allowed.
            self._arm_at = self._allowed_at
            self._look_again(self._context.timers.deadline(self, Timer.LOOK))

    def handle_debt_began(self, now: Nanoseconds) -> None:
        """Handle `DebtBegan`: data in one direction is unanswered."""
        self._answer_jitter = self._jitter()
        self._look(now)

    def handle_confirmed(self, now: Nanoseconds) -> None:
        """Handle `Confirmed`: the initiator uses the session that our response created."""
        self._complete(now)
        self.plane.arm_session_needed()
        self._look(now)

    def handle_cookie_received(self, now: Nanoseconds) -> None:
        """Handle `CookieReceived`: send a new initiation at once, which has the cookie.

        Where this differs from the paper (6.6), and why: docs/decisions/0024-answer-a-cookie.md.
        """
        match self._handshake:
            case Initiated():
                self._initiate(now)

    def reconnect(self, now: Nanoseconds) -> None:
        """Initiate once, because the peer may have a session with us that we do not have.

        Nothing of ours waits for it, so it is not repeated: if the peer is there and sends, its
        data leads here again (`handle_unknown_index` of the device).
        """
        if (
            self.has_session(now)
            or self._handshake != Idle()
            or self._initiate_at is not None
            or now < self._allowed_at
        ):
            return
        self._attempts = ONLY_ATTEMPT
        self._initiate_at = self._context.reconnect_slot(now)
        self._look_again(self._context.timers.deadline(self, Timer.LOOK))

    def handle_timer(self, now: Nanoseconds, timer: Timer) -> None:
        """Handle an expired timer."""
        if timer is Timer.LOOK:
            self._look(now)
        elif timer is Timer.RETRANSMIT:
            self._retransmit(now)
        else:
            log.debug(
                "Zeroing out all keys for peer %s, since we haven't received a new one in"
                " %d seconds",
                self,
                ERASE_AFTER_TIME // SECOND,
            )
            self._erase()

    def retry(self, now: Nanoseconds, timer: Timer) -> None:
        """Try again after an exception: set the timer, and arm the event that comes only once."""
        later = Nanoseconds(now + REKEY_TIMEOUT)
        if self._context.timers.deadline(self, timer) is None:
            self._context.timers.set(self, timer, later)
        self._arm_at = later
        self._look_again(self._context.timers.deadline(self, Timer.LOOK))

    def handle_initiation(
        self, now: Nanoseconds, unproven: noise.UnprovenInitiation, size: int, remote: EndpointType
    ) -> Discard | None:
        """Answer message 1 if it is authentic, new and not too frequent (noise.c, receive.c)."""
        static_static = self._get_static_static()
        if static_static is None:
            return Discard.LOW_ORDER
        proven = noise.decrypt_timestamp_untrusted(static_static, unproven)
        if isinstance(proven, Discard):
            return proven
        if proven.timestamp <= self._greatest_timestamp:
            return Discard.REPLAYED_INITIATION
        received_at = self._initiation_received_at
        if received_at is not None and now < received_at + INITIATION_INTERVAL:
            return Discard.INITIATION_FLOOD
        self._greatest_timestamp = proven.timestamp
        self._initiation_received_at = now
        self.plane.handshake_received(remote, size, now)
        log.debug("Receiving handshake initiation from peer %s", self)
        self._respond(now, proven)
        return None

    def handle_response(
        self, now: Nanoseconds, message: Response, size: int, remote: EndpointType
    ) -> Discard | None:
        """Install the session that message 2 completes (noise.c, receive.c)."""
        assert isinstance(self._handshake, Initiated)  # or no response would be expected
        state = self._handshake.noise
        keys = noise.consume_response_untrusted(state, self.preshared_key, message)
        if isinstance(keys, Discard):
            return keys
        self.plane.handshake_received(remote, size, now)
        log.debug("Receiving handshake response from peer %s", self)
        self._forget_handshake()
        self._install(now, keys, initiator=True)
        self._complete(now)
        self.plane.arm_session_needed()
        return None

    def _initiate(self, now: Nanoseconds) -> None:
        """Send message 1; the caller has checked the rate limit."""
        identity = self._context.identity
        self._wanted = identity is None or self.plane.endpoint is None
        if identity is None or self._wanted:
            return
        static_static = self._get_static_static()
        if static_static is None:
            self.discards[Discard.LOW_ORDER] += 1
            return
        if now < self._not_before:
            self._initiate_at = self._not_before
            self._look_again(self._context.timers.deadline(self, Timer.LOOK))
            return
        self._initiate_at = None
        self._forget_handshake()
        self._last_timestamp = tai64n.advance(self._context.wall(), self._last_timestamp)
        self._context.sent_initiations.record(
            identity.public_key,
            self.public_key,
            LastInitiation(now, self._last_timestamp),
        )
        message, state = noise.initiate(
            static_static,
            ephemeral=self._context.ephemeral(),
            index=self._context.indices.allocate(),
            timestamp=tai64n.encode(self._last_timestamp),
        )
        log.debug("Sending handshake initiation to peer %s", self)
        self._handshake = Initiated(state)
        self._context.indices.expect(state.index, self)
        self._allowed_at = Nanoseconds(now + REKEY_TIMEOUT)
        if self._unanswered_since is None:
            self._unanswered_since = now
        self.plane.send_handshake(message.build(), now)
        retry = Nanoseconds(now + REKEY_TIMEOUT + self._jitter())
        self._context.timers.set(self, Timer.RETRANSMIT, retry)
        # New traffic, even while we wait, resets the count of attempts.
        self.plane.arm_session_needed()

    def _continue_initiations(self) -> None:
        """Keep the distance from the last initiation of an earlier device with our keys."""
        identity = self._context.identity
        if identity is not None:
            last = self._context.sent_initiations.last(identity.public_key, self.public_key)
            self._not_before = Nanoseconds(last.sent_at + SPACING)
            self._last_timestamp = max(self._last_timestamp, last.timestamp)

    def _respond(self, now: Nanoseconds, proven: noise.ResponderState) -> None:
        index = self._context.indices.allocate()
        ephemeral = self._context.ephemeral()
        message, keys = noise.respond(proven, self.preshared_key, ephemeral=ephemeral, index=index)
        log.debug("Sending handshake response to peer %s", self)
        # Ours, if there is one, stays: where both sides initiate at once, each gets its response.
        self._allowed_at = Nanoseconds(now + REKEY_TIMEOUT)
        # Install before sending: the peer's first packet may arrive before the send returns.
        self._install(now, keys, initiator=False)
        self.plane.send_handshake(message.build(), now)
        self.plane.arm_session_needed()

    def _install(self, now: Nanoseconds, keys: noise.SessionKeys, *, initiator: bool) -> None:
        self._wanted = False
        self._initiate_at = None
        # Only the initiator renews by age, or both sides would at the same time (paper, 6.2).
        self.plane.install(
            keys,
            confirmed=initiator,
            renew_on_send=now + REKEY_AFTER_TIME if initiator else NEVER,
            renew_on_receive=now + RENEW_ON_RECEIVE_TIME if initiator else NEVER,
            reject=now + REJECT_AFTER_TIME,
        )
        self._context.timers.set(self, Timer.ERASE, Nanoseconds(now + ERASE_AFTER_TIME))
        log.debug("Keypair %d created for peer %d", keys.local_index, self.plane.id)

    def _complete(self, now: Nanoseconds) -> None:
        """Record that both sides have the session (wg_timers_handshake_complete)."""
        self._unanswered_since = None
        self._session_ends_at = Nanoseconds(now + REJECT_AFTER_TIME)
        self._context.timers.cancel(self, Timer.RETRANSMIT)
        self._attempts = 0
        self.latest_handshake = self._context.wall()
        self._context.sessions_begun += 1

    def _retransmit(self, now: Nanoseconds) -> None:
        """Retry an unanswered message 1, or give up after 90 s (paper, 6.4)."""
        if now < self._allowed_at:
            # We sent a response in between. The kernel drops the attempt, and staged packets wait
            # for the next packet to start another; we only delay it.
            later = Nanoseconds(self._allowed_at + self._jitter())
            self._context.timers.set(self, Timer.RETRANSMIT, later)
        elif self._attempts == ONLY_ATTEMPT:
            log.debug("Handshake for peer %s did not complete, giving up", self)
            self._give_up(now)
        elif self._attempts > HANDSHAKE_ATTEMPTS:
            log.debug(
                "Handshake for peer %s did not complete after %d attempts, giving up",
                self,
                HANDSHAKE_ATTEMPTS + 2,
            )
            self._give_up(now)
        else:
            self._attempts += 1
            log.debug(
                "Handshake for peer %s did not complete after %d seconds, retrying (try %d)",
                self,
                REKEY_TIMEOUT // SECOND,
                self._attempts + 1,
            )
            self.plane.forget_source()
            self._initiate(now)

    def _give_up(self, now: Nanoseconds) -> None:
        self.plane.drop_staged()
        self._forget_handshake()
        timers = self._context.timers
        if timers.deadline(self, Timer.ERASE) is None:
            timers.set(self, Timer.ERASE, Nanoseconds(now + ERASE_AFTER_TIME))

    def _look(self, now: Nanoseconds) -> bool:
        """Do what the plane says is due, and return whether a keepalive was sent."""
        if self._arm_at is not None and self._arm_at <= now:
            self._arm_at = None
            self.plane.arm_session_needed()
        if self._initiate_at is not None and self._initiate_at <= now:
            self._initiate_at = None
            self._initiate(now)
        unanswered = NEW_HANDSHAKE_TIME + self._answer_jitter
        persistent = self.persistent_keepalive * SECOND
        due = self.plane.due(now, KEEPALIVE_TIMEOUT, unanswered, persistent)
        self._look_again(due.next)
        keepalive = due.keepalive or due.persistent
        if keepalive:
            self._send_keepalive()
        if due.handshake:
            self._start_over(now)
        return keepalive

    def _send_keepalive(self) -> None:
        log.debug("Sending keepalive packet to peer %s", self)
        self.plane.send_keepalive()

    def _start_over(self, now: Nanoseconds) -> None:
        """Initiate because sent data got no answer (paper, 6.2; wg_expired_new_handshake)."""
        log.debug(
            "Retrying handshake with peer %s because we stopped hearing back after %d seconds",
            self,
            NEW_HANDSHAKE_TIME // SECOND,
        )
        self._answer_jitter = self._jitter()
        self.plane.forget_source()
        self._attempts = 0
        if now >= self._allowed_at:
            self._initiate(now)

    def _look_again(self, at: int | None) -> None:
        """Set LOOK to the earliest of the time that the plane returned and our own deadlines."""
        deadlines = (at, self._arm_at, self._initiate_at)
        wishes = [Nanoseconds(wish) for wish in deadlines if wish is not None]
        if wishes:
            self._context.timers.set(self, Timer.LOOK, min(wishes))
        else:
            self._context.timers.cancel(self, Timer.LOOK)

    def _erase(self) -> None:
        self._unanswered_since = None
        self._session_ends_at = Nanoseconds(0)
        self._forget_handshake()
        self.plane.erase()

    def _forget_handshake(self) -> None:
        match self._handshake:
            case Initiated(state):
                self._context.indices.release(state.index)
        self._handshake = Idle()

    def _get_static_static(self) -> noise.StaticStatic | None:
        """Return the static-static secret; None if we have no key or the peer's is of low order."""
        if self._static_static is None and self._context.identity is not None:
            self._static_static = self._context.identity.static_static(self.public_key)
        return self._static_static

    def _jitter(self) -> int:
        """Return up to a third of a second, so that two sides do not collide twice."""
        return int.from_bytes(self._context.random(2), "little") * REKEY_TIMEOUT_JITTER >> 16

    def __str__(self) -> str:
        seen = self.plane.endpoint
        place = "no endpoint" if seen is None else model.Endpoint(seen.host, seen.port)
        return f"{self.plane.id} ({place})"

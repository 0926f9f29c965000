"""Two devices under everything that a network, a machine and an administrator can do to them.

A state machine chooses: datagrams are delivered, lost, duplicated and reordered, time passes, the
machines sleep, clocks are set, settings change, processes die, and events wait. What must hold
then is in the invariants, and in `teardown`: once the network is fair, packets get through.

The plane of the simulation keeps sessions as the real one does. What only the real one decides, as
its replay window and allowed IPs, is checked in `crates/plane/tests/two_planes.rs`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from holloway.core.constants import (
    ERASE_AFTER_TIME,
    HANDSHAKE_ATTEMPTS,
    INITIATION_INTERVAL,
    REJECT_AFTER_TIME,
    REKEY_TIMEOUT,
    REKEY_TIMEOUT_JITTER,
    SECOND,
    Nanoseconds,
)
from holloway.core.wire import INITIATION_TYPE
from holloway.key import Key
from holloway.model import AllowedIP, DeviceUpdate, Endpoint, PeerUpdate
from sim.pair import Pair, Side, seconds
from sim.plane import MAX_STAGED, SimPeer, SimPlane
from sim.values import Datagram, HandshakeDatagram, SimEndpoint, TransportDatagram

ELSEWHERE = SimEndpoint("198.51.100.66", 666)
MEMORY = 200
"""How many datagrams an attacker keeps."""
FAIR_SECONDS = 60
"""How long the network is fair before everything must get through: each debt twice, and more."""

sides = st.sampled_from(("a", "b"))
booleans = st.booleans()
places = st.integers(0, 2**16)
preshared = st.sampled_from((Key.ZERO, Key(bytes([1] * 32)), Key(bytes([2] * 32))))
short = st.floats(0, 12)
long = st.sampled_from((5.4, 15.4, 60.0, 119.0, 121.0, 166.0, 179.0, 181.0, 541.0, 4000.0))
clock_steps = st.sampled_from((-365 * 86400.0, -3600.0, -1.0, 1.0, 3600.0, 365 * 86400.0))
keepalives = st.sampled_from((0, 1, 25, 600))


@dataclass(frozen=True)
class InFlight:
    """A datagram between the two, to whoever has the address."""

    datagram: Datagram
    source: SimEndpoint
    target: SimEndpoint


class HeldPair(Pair):
    """A pair whose datagrams are held until somebody delivers them."""

    def __init__(self) -> None:
        self.is_fair = False
        self.in_flight: list[InFlight] = []
        self.sent: list[InFlight] = []
        self.used: set[tuple[bytes, int]] = set()
        super().__init__()

    def carry(self, source: Side, datagram: Datagram, endpoint: SimEndpoint) -> None:
        if isinstance(datagram, TransportDatagram):
            nonce = (datagram.key, datagram.counter)
            assert nonce not in self.used, "a nonce is used twice"
            self.used.add(nonce)
            age = self.now - born(source, datagram.key)
            assert age < REJECT_AFTER_TIME, "a packet leaves under a key that is too old"
        if self.is_fair:
            super().carry(source, datagram, endpoint)
            return
        sent = InFlight(datagram, source.address, endpoint)
        self.in_flight.append(sent)
        self.sent = [*self.sent, sent][-MEMORY:]

    def at_address(self, address: SimEndpoint) -> Side | None:
        return next((side for side in (self.a, self.b) if side.address == address), None)


def born(side: Side, send_key: bytes) -> int:
    """When the session with this key was installed."""
    (found,) = [
        session.born
        for peer in side.plane.peers.values()
        for session in peer.sessions()
        if session.send_key == send_key
    ]
    return found


def is_initiation(datagram: Datagram) -> bool:
    return isinstance(datagram, HandshakeDatagram) and datagram.message[0] == INITIATION_TYPE


class TwoDevices(RuleBasedStateMachine):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self.pair = HeldPair()
        self.preshared = {side.address.host: Key.ZERO for side in (self.pair.a, self.pair.b)}
        self.planes: list[tuple[str, SimPlane]] = []
        self.answered: set[tuple[object, ...]] = set()
        self.latest_clock = {"192.0.2.1": 0, "192.0.2.2": 0}
        self.is_behind = {"192.0.2.1": False, "192.0.2.2": False}
        for side in (self.pair.a, self.pair.b):
            self.planes.append((side.address.host, side.plane))

    # The network.

    @rule(name=sides, count=st.integers(1, 5), is_late=booleans)
    def send(self, name: str, count: int, is_late: bool) -> None:
        """The host sends packets into the tunnel."""
        side = self.side(name)
        if not side.device.running or not side.plane.peers:
            return
        for _ in range(count):
            side.peer.send(side.new_payload())
        if not is_late:
            side.settle()

    @precondition(lambda self: self.pair.in_flight)
    @rule(place=places, keep=booleans, is_late=booleans)
    def deliver(self, place: int, keep: bool, is_late: bool) -> None:
        """Any datagram arrives, and may arrive again."""
        flying = self.pair.in_flight
        at = place % len(flying)
        self.arrive(flying[at] if keep else flying.pop(at), is_late=is_late)

    @rule()
    def deliver_all(self) -> None:
        """Everything arrives in order, and so do the answers."""
        for _ in range(100):
            flying, self.pair.in_flight[:] = self.pair.in_flight[:], []
            for each in flying:
                self.arrive(each)

    @rule(name=sides, wait=st.sampled_from((0.0, 0.05, 11.0, 121.0, 181.0)))
    def talk(self, name: str, wait: float) -> None:
        """A packet and its answer get through, and then time passes."""
        for each in (self.side(name), self.other(name)):
            if each.device.running and each.plane.peers:
                each.send_data()
            self.deliver_all()
        self.pair.run(wait)

    @rule()
    def lose_all(self) -> None:
        """The network loses what is under way."""
        self.pair.in_flight.clear()

    @precondition(lambda self: self.pair.in_flight)
    @rule(place=places)
    def lose(self, place: int) -> None:
        self.pair.in_flight.pop(place % len(self.pair.in_flight))

    @precondition(lambda self: self.pair.sent)
    @rule(place=places, is_late=booleans)
    def replay(self, place: int, is_late: bool) -> None:
        """An attacker repeats what was sent long ago."""
        self.arrive(self.pair.sent[place % len(self.pair.sent)], is_late=is_late)

    @precondition(lambda self: self.pair.sent)
    @rule(place=places)
    def replay_from_elsewhere(self, place: int) -> None:
        """What was delivered once moves no endpoint and is not received again."""
        sent = self.pair.sent[place % len(self.pair.sent)]
        side = self.pair.at_address(sent.target)
        assert side is not None
        self.arrive(sent)
        if (
            is_initiation(sent.datagram)
            and self.answer_to(side, sent.datagram) not in self.answered
        ):
            return  # it was the second within 20 ms
        self.pair.run(INITIATION_INTERVAL / SECOND)
        before = self.endpoints(side), len(side.received)
        side.deliver(sent.datagram, ELSEWHERE)
        assert (self.endpoints(side), len(side.received)) == before

    @precondition(lambda self: self.pair.sent)
    @rule(place=places, at=places, bit=st.integers(0, 7))
    def forge(self, place: int, at: int, bit: int) -> None:
        """A changed datagram has no effect but on the counters."""
        sent = self.pair.sent[place % len(self.pair.sent)]
        side = self.pair.at_address(sent.target)
        assert side is not None
        match sent.datagram:
            case HandshakeDatagram(message):
                changed = bytearray(message)
                # Not the type, or the sender's index, which only the end protects.
                at = 8 + at % (len(message) - 8)
                changed[at] ^= 1 << bit
                forged: Datagram = HandshakeDatagram(bytes(changed))
            case TransportDatagram():
                forged = replace(sent.datagram, key=bytes(32))
        side.settle()  # what has come before
        before = self.endpoints(side), len(side.received), self.sessions(side)
        side.deliver(forged, ELSEWHERE)
        assert (self.endpoints(side), len(side.received), self.sessions(side)) == before

    # Time.

    @rule(name=sides)
    def events(self, name: str) -> None:
        """The brain gets its turn."""
        self.side(name).settle()

    @rule(duration=st.one_of(short, long))
    def time_passes(self, duration: float) -> None:
        self.pair.run(duration)

    @rule(duration=long, is_late=booleans)
    def sleep(self, duration: float, is_late: bool) -> None:
        """Both machines sleep; events may come before the timers when they wake."""
        self.pair.now = Nanoseconds(self.pair.now + seconds(duration))
        if not is_late:
            self.pair.run(0)

    @rule(name=sides, step=clock_steps)
    def set_clock(self, name: str, step: float) -> None:
        self.side(name).wall_offset += seconds(step)

    # The administrator.

    @rule(name=sides, key=preshared, both=booleans)
    def set_preshared_key(self, name: str, key: Key, both: bool) -> None:
        for side in (self.side(name), self.other(name))[: 1 + both]:
            self.change_peer(side, preshared_key=key)
            self.preshared[side.address.host] = key

    @rule(name=sides, interval=keepalives)
    def set_keepalive(self, name: str, interval: int) -> None:
        self.change_peer(self.side(name), persistent_keepalive=interval)

    @rule(name=sides, add=booleans)
    def remove_peer(self, name: str, add: bool) -> None:
        side, other = self.side(name), self.other(name)
        side.update(DeviceUpdate(peers=(PeerUpdate(other.public_key, remove=True),)))
        assert not side.plane.peers
        if add:
            self.add_peer(side)

    @rule(name=sides)
    def add_peer_again(self, name: str) -> None:
        self.add_peer(self.side(name))

    @rule(name=sides, number=st.integers(1, 255))
    def set_private_key(self, name: str, number: int) -> None:
        """One side gets another key, and the other side is told."""
        side, other = self.side(name), self.other(name)
        old, new = side.public_key, Key(bytes([number] * 32)).clamped()
        if new in (side.private_key, other.private_key):
            return
        side.private_key, side.public_key = new, new.public()
        side.update(DeviceUpdate(private_key=new))
        assert not self.sessions(side), "sessions of the old identity"
        if other.plane.peers:
            other.update(DeviceUpdate(peers=(PeerUpdate(old, remove=True),)))
            self.add_peer(other)

    @rule(name=sides, keep=booleans)
    def down(self, name: str, keep: bool) -> None:
        side = self.side(name)
        side.device.down(self.pair.now)
        assert not self.sessions(side)
        if not keep:
            side.device.up(self.pair.now)

    @rule(name=sides)
    def up(self, name: str) -> None:
        self.side(name).device.up(self.pair.now)

    @rule(name=sides)
    def restart(self, name: str) -> None:
        """A process dies and another one takes its place."""
        side = self.side(name)
        # Its peers refuse what it initiates until its clock is where it was, as with the kernel.
        host = side.address.host
        self.is_behind[host] |= self.clock(side) <= self.latest_clock[host]
        side.restart()
        self.planes.append((side.address.host, side.plane))
        side.update(DeviceUpdate(side.private_key, 51820))
        self.add_peer(side)
        side.device.up(self.pair.now)

    # What holds after each of these.

    @invariant()
    def clocks_are_noted(self) -> None:
        for side in (self.pair.a, self.pair.b):
            host = side.address.host
            self.latest_clock[host] = max(self.latest_clock[host], self.clock(side))

    @invariant()
    def no_packet_is_received_twice(self) -> None:
        for host in ("192.0.2.1", "192.0.2.2"):
            planes = [plane for name, plane in self.planes if name == host]
            received = [payload for plane in planes for payload in plane.received]
            assert len(received) == len(set(received))
            assert not any(host.encode() in payload for payload in received), "its own packet"

    @invariant()
    def no_session_key_is_installed_twice(self) -> None:
        for _, plane in self.planes:
            assert len(plane.installed) == len(set(plane.installed))

    @invariant()
    def keys_are_erased_in_time_once_the_brain_is_awake(self) -> None:
        for side in (self.pair.a, self.pair.b):
            if self.is_late(side):
                continue
            for peer in side.plane.peers.values():
                ages = [self.pair.now - session.born for session in peer.sessions()]
                assert not ages or min(ages) < ERASE_AFTER_TIME

    @invariant()
    def what_a_device_holds_is_bounded(self) -> None:
        for side in (self.pair.a, self.pair.b):
            awaiting = vars(vars(side.device)["_context"].indices)["_awaiting"]
            assert len(awaiting) <= len(side.plane.peers)
            for peer in side.plane.peers.values():
                assert len(peer.sessions()) <= 3
                assert len(peer.staged) <= MAX_STAGED

    @invariant()
    def a_device_that_is_down_is_silent(self) -> None:
        for side in (self.pair.a, self.pair.b):
            if not side.device.running:
                assert not self.sessions(side)
                assert side.device.next_timeout() is None

    def teardown(self) -> None:
        """The network becomes fair, and the settings fit: now packets have to get through."""
        pair = self.pair
        for side in (pair.a, pair.b):
            self.add_peer(side)
            self.change_peer(side, preshared_key=Key.ZERO)
            side.device.up(pair.now)
            side.settle()
        # One of them may be the only one that speaks, if the other accepts what it initiates.
        speakers = ((pair.a, pair.b), (pair.a,), (pair.b,))[len(pair.used) % 3]
        if any(self.is_behind[side.address.host] for side in speakers):
            speakers = (pair.a, pair.b)
        staged = self.staged_while_all_is_lost(speakers[0])
        pair.in_flight.clear()
        pair.is_fair = True
        if staged is not None and len(speakers) == 1:
            pair.run((REKEY_TIMEOUT + REKEY_TIMEOUT_JITTER) / SECOND + 1)
            assert staged in pair.a.received + pair.b.received
        for side in speakers:
            pair.every(1, side.send_data, until=FAIR_SECONDS)
        pair.run(FAIR_SECONDS + 0.5)
        started = pair.a.handshakes_started + pair.b.handshakes_started
        sent = pair.a.send_data(), pair.b.send_data()
        pair.run(1)
        assert pair.b.received[-1] == sent[0]
        assert pair.a.received[-1] == sent[1]
        self.no_packet_is_received_twice()
        # And once nothing is said any more, nothing is done but what keepalives ask for.
        for side in (pair.a, pair.b):
            self.change_peer(side, persistent_keepalive=0)
        pair.run(ERASE_AFTER_TIME / SECOND + REKEY_TIMEOUT / SECOND * (HANDSHAKE_ATTEMPTS + 4))
        pair.run(ERASE_AFTER_TIME / SECOND)
        assert pair.a.handshakes_started + pair.b.handshakes_started <= started + 4
        for side in (pair.a, pair.b):
            assert not self.sessions(side)
            assert side.device.next_timeout() is None

    def staged_while_all_is_lost(self, side: Side) -> bytes | None:
        """Send one packet that has to wait for a session, and lose two initiations."""
        session = side.peer.current
        if session is not None and self.pair.now < session.reject:
            return None
        started = side.handshakes_started
        payload = side.send_data()
        self.pair.run(2 * REKEY_TIMEOUT / SECOND)
        # Within 5 s of our last handshake message it waits for the next packet, as in the kernel.
        return payload if side.handshakes_started > started else None

    # Helpers.

    def side(self, name: str) -> Side:
        return self.pair.a if name == "a" else self.pair.b

    def other(self, name: str) -> Side:
        return self.pair.b if name == "a" else self.pair.a

    def arrive(self, sent: InFlight, *, is_late: bool = False) -> None:
        side = self.pair.at_address(sent.target)
        if side is None:
            return
        if is_late:
            side.plane.deliver(sent.datagram, sent.source)
            return
        side.settle()  # so that what happens now is because of this datagram
        plane = side.plane
        responses, received = len(plane.happened("response")), len(plane.received)
        side.deliver(sent.datagram, sent.source)
        match sent.datagram:
            case HandshakeDatagram() if len(plane.happened("response")) > responses:
                answered = self.answer_to(side, sent.datagram)
                assert answered not in self.answered, "an initiation is answered twice"
                self.answered.add(answered)
            case TransportDatagram() if len(plane.received) > received:
                sessions = [session for peer in plane.peers.values() for session in peer.sessions()]
                (found,) = [each for each in sessions if each.receive_key == sent.datagram.key]
                age = self.pair.now - found.born
                assert age < REJECT_AFTER_TIME, "a packet is received under a key that is too old"

    def answer_to(self, side: Side, datagram: Datagram) -> tuple[object, ...]:
        """Who answers what: a peer that was added again has forgotten the timestamps."""
        return id(side.plane), tuple(side.plane.peers), datagram

    def add_peer(self, side: Side) -> None:
        """Add the other as a peer, if it is not there; an endpoint as configured."""
        other = self.pair.b if side is self.pair.a else self.pair.a
        peer = PeerUpdate(
            other.public_key,
            preshared_key=self.preshared[side.address.host],
            endpoint=Endpoint(other.address.host, other.address.port),
            allowed_ips=(AllowedIP.parse("0.0.0.0/0"),),
        )
        side.update(DeviceUpdate(peers=(peer,)))

    def change_peer(self, side: Side, **changes: Any) -> None:
        """Change the other's settings, if it is a peer."""
        other = self.pair.b if side is self.pair.a else self.pair.a
        side.update(
            DeviceUpdate(peers=(PeerUpdate(other.public_key, update_only=True, **changes),))
        )

    def clock(self, side: Side) -> int:
        return self.pair.now + side.wall_offset

    def is_late(self, side: Side) -> bool:
        deadline = side.device.next_timeout()
        return deadline is not None and deadline <= self.pair.now

    def endpoints(self, side: Side) -> list[SimEndpoint | None]:
        return [peer.endpoint for peer in side.plane.peers.values()]

    def sessions(self, side: Side) -> list[int]:
        found: list[SimPeer] = list(side.plane.peers.values())
        return [session.local_index for peer in found for session in peer.sessions()]


TestTwoDevices = TwoDevices.TestCase
TestTwoDevices.settings = settings(stateful_step_count=40)

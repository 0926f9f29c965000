"""The states of a peer's handshake and the transitions between them, found by running the core.

A device of the simulation, `a`, gets every stimulus in every state that it can reach. The network
delivers nothing automatically: a stimulus delivers the datagrams that it needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from holloway.core import peer as core
from holloway.core.constants import (
    ERASE_AFTER_TIME,
    NEW_HANDSHAKE_TIME,
    REKEY_AFTER_TIME,
    REKEY_TIMEOUT,
    SECOND,
    Nanoseconds,
)
from holloway.key import Key
from holloway.model import DeviceUpdate
from sim.pair import Pair, Side
from sim.values import CookieEvent, Datagram, HandshakeDatagram, SimEndpoint, TransportDatagram

if TYPE_CHECKING:
    from collections.abc import Callable

STATES: tuple[type, ...] = get_args(core.Handshake)


@dataclass(frozen=True)
class Transition:
    """A stimulus in a state, the reaction of the core, and the next state."""

    before: str
    stimulus: str
    reaction: str
    after: str


class World(Pair):
    """A pair whose network holds all datagrams."""

    def __init__(self, stimuli: tuple[str, ...] = ()) -> None:
        self.sent: list[tuple[Side, Datagram]] = []
        super().__init__()
        for stimulus in stimuli:
            self.happens(stimulus)

    def carry(self, source: Side, datagram: Datagram, _: SimEndpoint) -> None:
        self.sent.append((source, datagram))

    @property
    def handshake(self) -> str:
        """The name of the class of the handshake's state."""
        (peer,) = self.a.device._by_id.values()
        return type(peer._handshake).__name__

    @property
    def session(self) -> str:
        peer = self.a.peer
        return "unconfirmed" if peer.next else "in use" if peer.current else "none"

    def happens(self, stimulus: str) -> bool:
        """Apply a stimulus; return False if it is impossible in this state."""
        # Wait long enough that the rate limit of initiations does not delay the next attempt.
        self.now = Nanoseconds(self.now + (REKEY_TIMEOUT if self.handshake == "Idle" else SECOND))
        self.mark()
        return STIMULI[stimulus](self)

    def mark(self) -> None:
        """Begin to record what the core does."""
        self._done = len(self.a.plane.actions)
        self._sessions = self.a.peer.next, self.a.peer.current

    def reaction(self) -> str:
        """Return what the core has done since the last `mark`."""
        done = {action.what for action in self.a.plane.actions[self._done :]}
        words = [text for action, text in ACTIONS.items() if action in done]
        unconfirmed, current = self._sessions
        if self.a.peer.next not in (None, unconfirmed):
            words.append("new session, unconfirmed")
        if self.a.peer.current not in (None, current):
            words.append("new session in use")
        return ", ".join(words) or "wait"

    def deliver(self, side: Side, *kinds: type[Datagram]) -> bool:
        """Deliver the newest datagram of these kinds to a side; False if there is none."""
        for source, datagram in reversed(self.sent):
            if source is not side and isinstance(datagram, kinds):
                side.deliver(datagram, source.address)
                return True
        return False

    def pass_time(self, until: Callable[[], object]) -> bool:
        """Expire `a`'s deadlines one by one until a condition is true; False if it never is."""
        for _ in range(100):
            if until():
                return True
            deadline = self.a.device.next_timeout()
            if deadline is None:
                return False
            self.now = max(self.now, deadline)
            self.mark()
            self.a.handle_timeout()
        return False

    def did(self, action: str) -> int:
        """Return how often `a` performed an action on its plane."""
        return len(self.a.plane.happened(action))


def packet(world: World) -> bool:
    needed = world.session == "none"
    world.a.send_data()
    return needed


def old_packet(world: World) -> bool:
    if world.session != "in use" or world.handshake != "Idle":
        return False
    world.now = Nanoseconds(world.now + REKEY_AFTER_TIME)
    before = world.did("initiation")
    world.a.send_data()
    return world.did("initiation") > before


def initiation(world: World) -> bool:
    world.b.restart()
    world.b.configure(world.a)
    world.b.send_data()
    return world.deliver(world.a, HandshakeDatagram)


def response(world: World) -> bool:
    if world.handshake != "Initiated":
        return False
    world.b.restart()
    world.b.configure(world.a)
    return world.deliver(world.b, HandshakeDatagram) and world.deliver(world.a, HandshakeDatagram)


def first_data(world: World) -> bool:
    return (
        world.session == "unconfirmed"
        and world.deliver(world.b, HandshakeDatagram)
        and world.deliver(world.a, TransportDatagram)
    )


def cookie(world: World) -> bool:
    if world.handshake != "Initiated":
        return False
    world.a.plane.push(CookieEvent(world.a.peer.id))
    world.a.settle()
    return True


def no_response(world: World) -> bool:
    before = world.did("initiation")
    return world.handshake == "Initiated" and world.pass_time(
        lambda: world.did("initiation") > before
    )


def never_a_response(world: World) -> bool:
    return world.handshake == "Initiated" and world.pass_time(lambda: world.handshake == "Idle")


def no_answer(world: World) -> bool:
    if world.session != "in use" or world.handshake != "Idle":
        return False
    before = world.did("initiation")
    world.a.send_data()
    return world.pass_time(lambda: world.did("initiation") > before)


def no_new_session(world: World) -> bool:
    before = world.did("erase")
    return world.handshake == "Idle" and world.pass_time(lambda: world.did("erase") > before)


def down(world: World) -> bool:
    world.a.device.down(world.now)
    return True


def new_key(world: World) -> bool:
    world.a.update(DeviceUpdate(Key(bytes(range(32)))))
    return True


STIMULI: dict[str, Callable[[World], bool]] = {
    "a packet has no session": packet,
    f"a packet, and our session is {REKEY_AFTER_TIME // SECOND} s old": old_packet,
    f"data unanswered for {NEW_HANDSHAKE_TIME // SECOND} s": no_answer,
    f"no response for {REKEY_TIMEOUT // SECOND} s": no_response,
    "no response for 90 s": never_a_response,
    "the first cookie in two minutes": cookie,
    "response": response,
    "initiation": initiation,
    "first packet of a responder's session": first_data,
    f"no new session for {ERASE_AFTER_TIME // SECOND} s": no_new_session,
    "the interface goes down": down,
    "the private key changes": new_key,
}


def transitions() -> list[Transition]:
    """Try every stimulus in every reachable state, and return each transition once."""
    found: dict[Transition, None] = {}
    seen = {("Idle", "none")}
    paths: list[tuple[str, ...]] = [()]
    for path in paths:
        for stimulus in STIMULI:
            world = World(path)
            before = world.handshake
            if not world.happens(stimulus):
                continue
            found[Transition(before, stimulus, world.reaction(), world.handshake)] = None
            state = (world.handshake, world.session)
            if state not in seen and world.a.device.running:
                seen.add(state)
                paths.append((*path, stimulus))
    return list(found)


ACTIONS = {
    "initiation": "send initiation",
    "response": "send response",
    "drop staged": "drop staged packets",
    "erase": "erase sessions",
}

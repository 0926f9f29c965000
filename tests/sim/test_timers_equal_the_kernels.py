"""The brain on debts and one-shot events does what the kernel does with a hook for every packet."""

from __future__ import annotations

from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from holloway.core import noise, tai64n
from holloway.core.constants import REKEY_TIMEOUT_JITTER, SECOND, Nanoseconds
from holloway.core.wire import INITIATION_TYPE, Initiation, Response, parse_handshake_untrusted
from holloway.key import Key
from holloway.model import DeviceUpdate, Endpoint, PeerUpdate
from sim.device import SimDevice
from sim.kernel_timers import KernelPeer, Keypair
from sim.pair import dispatch
from sim.plane import SimPlane
from sim.values import Datagram, HandshakeDatagram, SimEndpoint, TransportDatagram

MILLISECOND = SECOND // 1000
START = Nanoseconds(5000 * SECOND)
US = Key(bytes(range(32))).clamped()
THEM = Key(bytes(range(1, 33))).clamped()
THEIR_ADDRESS = SimEndpoint("192.0.2.9", 51820)
JITTER_DRAW = 24_571  # of 65,536; no multiple of it falls on the milliseconds of the traces
JITTER = JITTER_DRAW * REKEY_TIMEOUT_JITTER >> 16


class Brain:
    """The device under test, and the other side's answers as the trace wants them."""

    def __init__(self, persistent: int) -> None:
        self.now = START
        self._draws = count(1)
        self._stamps = count(1)
        self._identity = noise.Identity(THEM.raw)
        static_static = self._identity.static_static(US.public().raw)
        assert static_static is not None
        self._static_static = static_static
        self._heard: list[HandshakeDatagram] = []
        self._sessions: dict[int, noise.SessionKeys] = {}
        self._counter = count()
        self.plane = SimPlane(lambda: self.now, self._hear)
        self.plane.reports_unknown_indices = False  # of which the kernel makes nothing
        self.device = SimDevice(self.plane, random=self._random, wall=lambda: self.now)
        self.device.up(self.now)
        peer = PeerUpdate(
            THEM.public(),
            endpoint=Endpoint(THEIR_ADDRESS.host, THEIR_ADDRESS.port),
            persistent_keepalive=persistent,
        )
        self.device.configure(self.now, DeviceUpdate(US, peers=(peer,)))
        self._settle()

    def run(self, until: Nanoseconds) -> None:
        while (deadline := self.device.next_timeout()) is not None and deadline <= until:
            self.now = deadline
            self.device.handle_timeout(self.now)
            self._settle()
        self.now = until

    def send(self) -> None:
        self.plane.only().send(b"data")
        self._settle()

    def receive(self, session: int, *, data: bool) -> None:
        keys = self._sessions[session]
        payload = b"data" if data else b""
        self._deliver(TransportDatagram(keys.remote_index, keys.send, next(self._counter), payload))

    def consume_response(self, session: int) -> None:
        """Have the other side answer the newest initiation."""
        message = self._newest(INITIATION_TYPE)
        if message is None:
            return
        assert isinstance(message, Initiation)
        unproven = noise.decrypt_static_untrusted(self._identity, message)
        assert isinstance(unproven, noise.UnprovenInitiation)
        proven = noise.decrypt_timestamp_untrusted(self._static_static, unproven)
        assert isinstance(proven, noise.ResponderState)
        written = noise.respond(
            proven, noise.NO_PRESHARED_KEY, ephemeral=self._random(32), index=session
        )
        response, self._sessions[session] = written
        self._deliver(HandshakeDatagram(response.build()))

    def consume_initiation(self, session: int) -> None:
        """Have the other side initiate, and take our answer if there is one."""
        written = noise.initiate(
            self._static_static,
            ephemeral=self._random(32),
            index=session,
            timestamp=tai64n.encode(next(self._stamps) * tai64n.STEP),
        )
        initiation, state = written
        self._deliver(HandshakeDatagram(initiation.build()))
        message = self._newest(INITIATION_TYPE + 1)
        if isinstance(message, Response) and message.receiver == session:
            keys = noise.consume_response_untrusted(state, noise.NO_PRESHARED_KEY, message)
            assert isinstance(keys, noise.SessionKeys)
            self._sessions[session] = keys

    def actions(self) -> list[tuple[int, str]]:
        return [(action.at, action.what) for action in self.plane.actions]

    def _newest(self, kind: int) -> Initiation | Response | None:
        for datagram in reversed(self._heard):
            if datagram.message[0] == kind:
                return parse_handshake_untrusted(datagram.message)
        return None

    def _deliver(self, datagram: Datagram) -> None:
        self.plane.deliver(datagram, THEIR_ADDRESS)
        self._settle()

    def _hear(self, datagram: Datagram, endpoint: SimEndpoint) -> None:
        if isinstance(datagram, HandshakeDatagram):
            self._heard.append(datagram)

    def _random(self, length: int) -> bytes:
        if length == 2:
            return JITTER_DRAW.to_bytes(2, "little")
        return next(self._draws).to_bytes(length, "little")

    def _settle(self) -> None:
        dispatch(self.now, self.plane, self.device)


DELAYS = st.one_of(
    st.integers(0, 25),
    st.integers(0, 20_000),
    st.integers(100_000, 200_000),
    st.integers(0, 600_000),
)
WHAT = st.sampled_from(["send", "send", "data", "data", "keepalive", "respond", "initiate", "wait"])
EXAMPLES = max(250, settings().max_examples)
TRACES = st.lists(st.tuples(DELAYS, WHAT), min_size=1, max_size=60)


@settings(max_examples=EXAMPLES)
@given(TRACES, st.sampled_from([0, 0, 1, 7, 25, 600]))
def test_the_same_actions_at_the_same_times(trace: list[tuple[int, str]], persistent: int) -> None:
    brain = Brain(persistent)
    kernel = KernelPeer(START, JITTER, persistent * SECOND)
    sessions: list[Keypair] = []
    now = START
    for delay, what in trace:
        now = Nanoseconds(now + delay * MILLISECOND)
        brain.run(now)
        kernel.run(now)
        _step(what, brain, kernel, sessions)
        _compare(brain, kernel)
    end = Nanoseconds(now + 700 * SECOND)
    brain.run(end)
    kernel.run(end)
    _compare(brain, kernel)


def _step(what: str, brain: Brain, kernel: KernelPeer, sessions: list[Keypair]) -> None:
    match what:
        case "send":
            brain.send()
            kernel.send()
        case "data" | "keepalive" if sessions:
            brain.receive(len(sessions) - 1, data=what == "data")
            kernel.receive(sessions[-1], data=what == "data")
        case "respond":
            brain.consume_response(len(sessions))
            if (keypair := kernel.consume_response()) is not None:
                sessions.append(keypair)
        case "initiate":
            brain.consume_initiation(len(sessions))
            if (keypair := kernel.consume_initiation()) is not None:
                sessions.append(keypair)


def _compare(brain: Brain, kernel: KernelPeer) -> None:
    # What happens in one moment has no order that matters: timers of both fire at it.
    assert sorted(brain.actions()) == sorted(kernel.actions)

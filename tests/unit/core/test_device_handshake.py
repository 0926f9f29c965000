"""A device's reaction to handshake messages: valid, invalid, late, too many, from strangers."""

from __future__ import annotations

import hmac
import json
import logging
from functools import cache
from hashlib import blake2s
from itertools import count
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from holloway.core import noise, tai64n
from holloway.core.constants import INITIATION_INTERVAL, SECOND, Nanoseconds
from holloway.core.discard import Discard
from holloway.core.wire import Initiation, Response
from holloway.key import Key
from holloway.model import DeviceUpdate, Endpoint, PeerUpdate
from sim.device import SimDevice
from sim.pair import Pair, dispatch, seconds
from sim.plane import SimPlane
from sim.values import SimEndpoint, TransportDatagram

VECTORS = Path(__file__).parents[2] / "vectors" / "primitives.json"
LOW_ORDER = json.loads(VECTORS.read_text())["x25519"]["low_order"]
US, THEM, STRANGER = (Key(bytes([n] * 32)).clamped() for n in (1, 2, 3))
THERE = SimEndpoint("192.0.2.7", 7)
NOW = seconds(100)


@cache
def static_static(sender: Key, to: Key) -> noise.StaticStatic:
    identity = noise.Identity(sender.raw)
    secret = identity.static_static(to.public().raw)
    assert secret is not None
    return secret


class Bench:
    """A device on a plane, with methods that send it messages."""

    def __init__(self, private_key: Key | None = US, peers: tuple[Key, ...] = ()) -> None:
        self.now = NOW
        self._draws = count(1)
        self.plane = SimPlane(lambda: self.now)
        self.device = SimDevice(self.plane, random=self._random, wall=lambda: self.now)
        self.device.up(self.now)
        keys = peers or (THEM.public(),)
        changes = tuple(PeerUpdate(key, endpoint=Endpoint("192.0.2.7", 7)) for key in keys)
        self.device.configure(self.now, DeviceUpdate(private_key, peers=changes))

    def initiation(self, sender: Key = THEM, stamp: int = 1, to: Key = US) -> bytes:
        written = noise.initiate(
            static_static(sender, to),
            ephemeral=self._random(32),
            index=1,
            timestamp=tai64n.encode(stamp * tai64n.STEP),
        )
        return written[0].build()

    def hear(self, message: bytes) -> None:
        self.device.handle_handshake(self.now, message, len(message) + 32, THERE)

    def settle(self) -> None:
        dispatch(self.now, self.plane, self.device)

    def counted(self) -> dict[str, int]:
        return {why: n for why, n in self.device.discards().items() if n}

    def _random(self, length: int) -> bytes:
        return next(self._draws).to_bytes(length, "little")


def test_every_reason_is_listed_from_the_start() -> None:
    assert set(Bench().device.discards()) == {reason.value for reason in Discard}


@pytest.mark.parametrize("message", [b"", b"x", bytes(116), bytes(60), bytes(65_507)])
def test_an_invalid_handshake_message_is_counted(message: bytes) -> None:
    bench = Bench()
    bench.hear(message)
    assert bench.counted() == {"bad_message": 1}


def test_without_a_private_key_initiations_are_counted() -> None:
    bench = Bench(private_key=None)
    bench.hear(bench.initiation())
    assert bench.counted() == {"no_private_key": 1}


def test_a_stranger_is_not_answered() -> None:
    bench = Bench()
    bench.hear(bench.initiation(sender=STRANGER))
    assert bench.counted() == {"unknown_peer": 1}
    assert bench.plane.actions == []


def test_an_initiation_for_another_key_is_not_answered() -> None:
    bench = Bench()
    bench.hear(bench.initiation(to=STRANGER))
    assert bench.counted() == {"undecryptable": 1}


def test_an_unproven_initiation_does_not_move_the_peer() -> None:
    bench = Bench()
    message = bytearray(bench.initiation())
    message[-1] ^= 1
    before = bench.plane.only().endpoint
    bench.device.handle_handshake(bench.now, bytes(message), 148, SimEndpoint("6.6.6.6", 6))
    assert bench.plane.only().endpoint == before
    ((peer, counts),) = bench.device.peer_discards()
    assert (peer.public_key, counts) == (THEM.public().raw, {"undecryptable": 1})


def test_at_most_fifty_initiations_a_second_are_answered() -> None:
    bench = Bench()
    for step in range(100):
        bench.now = Nanoseconds(NOW + step * INITIATION_INTERVAL // 2)
        bench.hear(bench.initiation(stamp=step + 1))
    assert len(bench.plane.happened("response")) == 50
    assert bench.counted() == {"initiation_flood": 50}


def test_a_peer_that_shakes_hands_as_often_as_it_may_leaves_nothing_behind() -> None:
    bench = Bench()
    for step in range(40 * SECOND // INITIATION_INTERVAL):
        bench.now = Nanoseconds(NOW + step * INITIATION_INTERVAL)
        bench.hear(bench.initiation(stamp=step + 1))
        session = bench.plane.only().next
        assert session is not None
        confirming = TransportDatagram(session.local_index, session.receive_key, 0, b"")
        bench.plane.deliver(confirming, THERE)
        bench.settle()
    assert len(bench.plane.happened("response")) == 2_000
    assert len(bench.plane.only().sessions()) <= 3
    context = vars(bench.device)["_context"]
    assert len(vars(context.timers)["_heap"]) < 100
    assert vars(context.indices)["_awaiting"] == {}


def test_an_initiation_discarded_as_flood_is_accepted_later() -> None:
    bench = Bench()
    bench.hear(bench.initiation(stamp=1))
    message = bench.initiation(stamp=2)
    bench.hear(message)
    bench.now = Nanoseconds(NOW + INITIATION_INTERVAL)
    bench.hear(message)
    assert len(bench.plane.happened("response")) == 2


def test_an_equal_or_older_timestamp_is_a_replay() -> None:
    bench = Bench()
    for stamp in (5, 5, 4, 6):
        bench.hear(bench.initiation(stamp=stamp))
        bench.now = Nanoseconds(bench.now + SECOND)
    assert len(bench.plane.happened("response")) == 2
    assert bench.counted() == {"replayed_initiation": 2}


def test_down_does_not_forget_the_greatest_timestamp() -> None:
    bench = Bench()
    message = bench.initiation(stamp=9)
    bench.hear(message)
    bench.device.down(bench.now)
    bench.now = seconds(200)
    bench.device.up(bench.now)
    bench.hear(message)
    assert bench.counted() == {"replayed_initiation": 1}


def test_an_unexpected_response_is_counted() -> None:
    bench = Bench()
    bench.hear(Response(1, 2, bytes(32), bytes(16)).build())
    assert bench.counted() == {"late_response": 1}


def test_a_response_is_accepted_once() -> None:
    pair = Pair()
    pair.a.send_data()
    pair.run(1)
    pair.a.device.handle_handshake(pair.now, pair.a.heard[0].message, 92, SimEndpoint("6.6.6.6", 6))
    assert pair.a.device.discards()["late_response"] == 1
    assert pair.a.peer.endpoint == pair.b.address


def test_a_forged_response_does_not_end_the_wait_for_the_real_one() -> None:
    pair = Pair()
    sent = pair.a.send_data()
    index = int.from_bytes(_first_initiation(pair)[4:8], "little")
    forged = Response(1, index, bytes([9] * 32), bytes(16)).build()
    pair.a.device.handle_handshake(pair.now, forged, 92, pair.b.address)
    pair.run(1)
    assert pair.a.device.discards()["undecryptable"] == 1
    assert pair.b.received == [sent]


@pytest.mark.parametrize("point", LOW_ORDER)
def test_nothing_is_sent_to_a_peer_whose_key_is_of_low_order(point: str) -> None:
    bench = Bench(peers=(Key.from_hex(point),))
    keepalive = PeerUpdate(Key.from_hex(point), persistent_keepalive=1)
    bench.device.configure(bench.now, DeviceUpdate(peers=(keepalive,)))
    bench.plane.only().send(b"data")
    bench.settle()
    for _ in range(300):
        bench.now = Nanoseconds(bench.now + SECOND)
        bench.device.handle_timeout(bench.now)
        bench.settle()
    assert not {"initiation", "response", "data", "keepalive"} & {
        action.what for action in bench.plane.actions
    }
    assert bench.device.discards()["low_order"] >= 1


@pytest.mark.parametrize("point", LOW_ORDER)
def test_an_ephemeral_of_low_order_is_not_answered(point: str) -> None:
    bench = Bench()
    message = bench.initiation()
    bench.hear(message[:8] + bytes.fromhex(point) + message[40:])
    assert bench.counted() == {"low_order": 1}
    assert bench.plane.actions == []


def test_events_of_a_removed_peer_or_a_stopped_device_do_nothing() -> None:
    bench = Bench()
    number = bench.plane.only().id
    bench.device.down(bench.now)
    bench.plane.actions.clear()
    bench.hear(bench.initiation())
    for _ in range(2):
        bench.device.handle_session_needed(bench.now, number)
        bench.device.handle_debt_began(bench.now, number)
        bench.device.handle_confirmed(bench.now, number)
        bench.device.up(bench.now)
        gone = PeerUpdate(THEM.public(), remove=True)
        bench.device.configure(bench.now, DeviceUpdate(peers=(gone,)))
    assert bench.plane.actions == []
    assert bench.device.next_timeout() is None


def test_setting_the_private_key_starts_the_handshake_for_waiting_traffic() -> None:
    bench = Bench(private_key=None)
    bench.plane.only().send(b"data")
    bench.settle()
    assert bench.plane.happened("initiation") == []
    bench.device.configure(bench.now, DeviceUpdate(US))
    assert len(bench.plane.happened("initiation")) == 1


def test_setting_the_endpoint_starts_the_handshake_for_a_keepalive() -> None:
    bench = Bench(peers=(STRANGER.public(), THEM.public()))
    key = Key(bytes([7] * 32)).public()
    bench.device.configure(
        bench.now, DeviceUpdate(peers=(PeerUpdate(key, persistent_keepalive=25),))
    )
    bench.settle()
    assert bench.plane.happened("initiation") == []
    change = PeerUpdate(key, endpoint=Endpoint("192.0.2.8", 8))
    bench.device.configure(bench.now, DeviceUpdate(peers=(change,)))
    assert len(bench.plane.happened("initiation")) == 1


def test_the_debug_log_has_the_kernels_messages_and_no_key(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, logger="holloway.core")
    pair = Pair.established()
    pair.link.cut()
    pair.a.send_data()
    pair.run(700)
    lines = [record.getMessage() for record in caplog.records]
    for line in (
        "Sending handshake initiation to peer 1 (192.0.2.2:51820)",
        "Receiving handshake initiation from peer 1 (192.0.2.1:51820)",
        "Sending handshake response to peer 1 (192.0.2.1:51820)",
        "Receiving handshake response from peer 1 (192.0.2.2:51820)",
        "Retrying handshake with peer 1 (192.0.2.2:51820) because we stopped hearing back"
        " after 15 seconds",
        "Handshake for peer 1 (192.0.2.2:51820) did not complete after 5 seconds, retrying (try 2)",
        "Handshake for peer 1 (192.0.2.2:51820) did not complete after 20 attempts, giving up",
        "Zeroing out all keys for peer 1 (192.0.2.2:51820), since we haven't received a new one"
        " in 540 seconds",
    ):
        assert line in lines
    text = "\n".join(lines)
    for key in (pair.a.private_key, pair.b.private_key, pair.a.public_key, pair.b.public_key):
        assert key.base64 not in text
        assert key.hex not in text
    assert {record.levelno for record in caplog.records} == {logging.DEBUG}


def _first_initiation(pair: Pair) -> bytes:
    pair.run(0.011)
    return pair.b.heard[0].message


@pytest.mark.parametrize("point", LOW_ORDER)
def test_an_initiation_by_a_peer_whose_key_is_of_low_order_is_not_answered(point: str) -> None:
    """Everyone knows the secret shared with such a key, so everyone can write its initiation."""
    low = bytes.fromhex(point)
    bench = Bench(peers=(Key(low),))
    bench.hear(_initiation_that_claims(low))
    assert bench.counted() == {"low_order": 1}
    assert bench.plane.actions == []


def _initiation_that_claims(static: bytes) -> bytes:
    """Write a message 1 with any static key up to that key, as an attacker could (paper, 5.4.2)."""
    private = X25519PrivateKey.from_private_bytes(bytes([5] * 32))
    ephemeral = private.public_key().public_bytes_raw()
    chaining_key = blake2s(b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s").digest()
    transcript = blake2s(chaining_key + b"WireGuard v1 zx2c4 Jason@zx2c4.com").digest()
    transcript = blake2s(transcript + US.public().raw).digest()
    transcript = blake2s(transcript + ephemeral).digest()
    chaining_key = _hmac(_hmac(chaining_key, ephemeral), b"\x01")
    secret = private.exchange(X25519PublicKey.from_public_bytes(US.public().raw))
    extracted = _hmac(chaining_key, secret)
    key = _hmac(extracted, _hmac(extracted, b"\x01") + b"\x02")
    sealed = ChaCha20Poly1305(key).encrypt(bytes(12), static, transcript)
    return Initiation(1, ephemeral, sealed, bytes(28)).build()


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "blake2s")


def test_the_peers_without_discards_are_left_out() -> None:
    bench = Bench(peers=(THEM.public(), STRANGER.public()))
    for _ in range(2):
        bench.hear(bench.initiation())
    ((peer, counts),) = bench.device.peer_discards()
    assert (peer.public_key, counts) == (THEM.public().raw, {"replayed_initiation": 1})

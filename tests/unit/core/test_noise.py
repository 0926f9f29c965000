from __future__ import annotations

import hmac

from hypothesis import given
from hypothesis import strategies as st

from holloway.core import noise
from holloway.core.discard import Discard
from holloway.core.noise import Identity, InitiatorState, SessionKeys, StaticStatic
from holloway.core.wire import Initiation, Response, parse_handshake_untrusted

ALICE, BOB = Identity.of(bytes(range(32))), Identity.of(bytes(range(32, 64)))
MALLORY = Identity.of(bytes(range(64, 96)))
STAMP = bytes(range(12))
PSK = bytes([9] * 32)
KEYS = st.binary(min_size=32, max_size=32)


def shared(us: Identity, them: Identity) -> StaticStatic:
    result = us.static_static(them.remote)
    assert result is not None
    return result


def initiation(us: Identity = ALICE, to: Identity = BOB) -> tuple[Initiation, InitiatorState]:
    return noise.initiate(shared(us, to), ephemeral=bytes([3] * 32), index=5, timestamp=STAMP)


def answered(message: Initiation, psk: bytes = PSK) -> tuple[Response, SessionKeys]:
    unproven = noise.decrypt_static_untrusted(BOB, message)
    assert isinstance(unproven, noise.UnprovenInitiation)
    proven = noise.decrypt_timestamp_untrusted(shared(BOB, ALICE), unproven)
    assert isinstance(proven, noise.ResponderState)
    assert proven.timestamp == STAMP
    return noise.respond(proven, psk, ephemeral=bytes([4] * 32), index=6)


def test_both_sides_derive_the_same_keys_for_opposite_directions() -> None:
    message, state = initiation()
    response, theirs = answered(message)
    ours = noise.consume_response_untrusted(state, PSK, response)
    assert isinstance(ours, SessionKeys)
    assert (ours.send, ours.receive) == (theirs.receive, theirs.send)
    assert ours.send != ours.receive
    assert (ours.local_index, ours.remote_index) == (5, 6)
    assert (theirs.local_index, theirs.remote_index) == (6, 5)


def test_another_preshared_key_does_not_decrypt_the_response() -> None:
    message, state = initiation()
    response, _ = answered(message, noise.NO_PRESHARED_KEY)
    assert noise.consume_response_untrusted(state, PSK, response) is Discard.UNDECRYPTABLE


def test_an_initiation_for_another_key_does_not_decrypt() -> None:
    message, _ = initiation(to=MALLORY)
    assert noise.decrypt_static_untrusted(BOB, message) is Discard.UNDECRYPTABLE


def test_an_initiation_does_not_prove_another_sender() -> None:
    honest, _ = initiation()
    forged, _ = initiation(us=MALLORY)
    unproven = noise.decrypt_static_untrusted(BOB, forged)
    assert isinstance(unproven, noise.UnprovenInitiation)
    assert unproven.static == MALLORY.remote.raw
    assert noise.decrypt_timestamp_untrusted(shared(BOB, ALICE), unproven) is Discard.UNDECRYPTABLE
    assert honest.static != forged.static


@given(st.integers(4 * 8 * 2, 116 * 8 - 1))
def test_an_initiation_with_any_bit_flipped_is_refused(bit: int) -> None:
    flipped = parse_handshake_untrusted(_flip(initiation()[0].build(), bit))
    assert isinstance(flipped, Initiation)
    unproven = noise.decrypt_static_untrusted(BOB, flipped)
    if isinstance(unproven, noise.UnprovenInitiation):
        assert (
            noise.decrypt_timestamp_untrusted(shared(BOB, ALICE), unproven) is Discard.UNDECRYPTABLE
        )
    else:
        assert unproven in (Discard.UNDECRYPTABLE, Discard.LOW_ORDER)


@given(st.integers(4 * 8 * 3, 60 * 8 - 1))
def test_a_response_with_any_bit_flipped_is_refused(bit: int) -> None:
    message, state = initiation()
    flipped = parse_handshake_untrusted(_flip(answered(message)[0].build(), bit))
    assert isinstance(flipped, Response)
    result = noise.consume_response_untrusted(state, PSK, flipped)
    assert result in (Discard.UNDECRYPTABLE, Discard.LOW_ORDER)


@given(st.binary(min_size=108, max_size=108))
def test_garbage_in_an_initiation_is_a_discard(garbage: bytes) -> None:
    message = Initiation(1, garbage[:32], garbage[32:80], garbage[80:])
    assert isinstance(noise.decrypt_static_untrusted(BOB, message), Discard)


@given(st.binary(min_size=48, max_size=48))
def test_garbage_in_a_response_is_a_discard(garbage: bytes) -> None:
    message = Response(1, 5, garbage[:32], garbage[32:])
    _, state = initiation()
    assert isinstance(noise.consume_response_untrusted(state, PSK, message), Discard)


@given(KEYS, st.binary(max_size=100))
def test_our_hmac_equals_the_standard_librarys(key: bytes, data: bytes) -> None:
    ours = vars(noise)["_hmac"](key, data)
    assert ours == hmac.digest(key, data, "blake2s")


def test_no_repr_shows_a_secret() -> None:
    message, state = initiation()
    response, keys = answered(message)
    shown = repr(
        (
            ALICE,
            shared(ALICE, BOB),
            state,
            keys,
            noise.decrypt_static_untrusted(BOB, message),
        )
    )
    for secret in (keys.send, keys.receive, state.chaining_key, shared(ALICE, BOB).secret):
        assert repr(secret) not in shown
    assert "SessionKeys object" in shown
    assert response.receiver == 5


def _flip(message: bytes, bit: int) -> bytes:
    flipped = bytearray(message)
    flipped[bit // 8] ^= 1 << bit % 8
    return bytes(flipped)

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holloway.core import noise
from holloway.core.discard import Discard
from holloway.core.noise import Identity, InitiatorState, SessionKeys, StaticStatic
from holloway.core.wire import Initiation, Response, parse_handshake_untrusted

ALICE, BOB = Identity(bytes(range(32))), Identity(bytes(range(32, 64)))
MALLORY = Identity(bytes(range(64, 96)))
STAMP = bytes(range(12))
PSK = bytes([9] * 32)


def shared(us: Identity, them: Identity) -> StaticStatic:
    result = us.static_static(them.public_key)
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
    assert unproven.static_key == MALLORY.public_key
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


@given(st.binary(max_size=100))
def test_a_key_or_a_field_of_another_length_is_an_error(data: bytes) -> None:
    _, state = initiation()
    for length, call in (
        (32, lambda: Identity(data)),
        (32, lambda: ALICE.static_static(data)),
        (32, lambda: state.consume_response(data, 1, bytes(32), bytes(16))),
        (32, lambda: state.consume_response(PSK, 1, data, bytes(16))),
        (16, lambda: state.consume_response(PSK, 1, bytes(32), data)),
        (32, lambda: BOB.decrypt_static(1, data, bytes(48), bytes(28))),
        (48, lambda: BOB.decrypt_static(1, bytes(32), data, bytes(28))),
        (28, lambda: BOB.decrypt_static(1, bytes(32), bytes(48), data)),
        (12, lambda: shared(ALICE, BOB).initiate(None, 5, data)),
        (32, lambda: shared(ALICE, BOB).initiate(data, 5, STAMP)),
        (32, lambda: SessionKeys(1, 2, data, bytes(32))),
    ):
        if len(data) != length:
            with pytest.raises(ValueError, match="bytes"):
                call()


def test_without_an_ephemeral_key_each_message_has_another() -> None:
    drawn = {
        noise.initiate(shared(ALICE, BOB), ephemeral=None, index=5, timestamp=STAMP)[0].ephemeral
        for _ in range(3)
    }
    assert len(drawn) == 3


def test_no_repr_shows_a_secret() -> None:
    message, state = initiation()
    response, keys = answered(message)
    unproven = noise.decrypt_static_untrusted(BOB, message)
    values = (ALICE, shared(ALICE, BOB), state, keys, unproven)
    for value in values:
        assert re.fullmatch(
            r"<(builtins|holloway\._native)\.\w+ object at 0x[0-9a-f]+>", repr(value)
        )
    assert response.receiver == 5


def _flip(message: bytes, bit: int) -> bytes:
    flipped = bytearray(message)
    flipped[bit // 8] ^= 1 << bit % 8
    return bytes(flipped)

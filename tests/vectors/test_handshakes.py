"""Our messages and keys equal those recorded with another implementation (`capture.py`)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from holloway.core import noise
from holloway.core.discard import Discard
from holloway.core.wire import Initiation, Response, parse_handshake_untrusted
from holloway.key import Key

Vector = dict[str, str]
RECORDED: list[Vector] = json.loads((Path(__file__).parent / "handshakes.json").read_text())[
    "handshakes"
]
THEY_INITIATE = [vector for vector in RECORDED if vector["initiator"] == "them"]
WE_INITIATE = [vector for vector in RECORDED if vector["initiator"] == "us"]


@pytest.mark.parametrize("vector", THEY_INITIATE)
def test_their_initiation_gives_their_key_and_timestamp(vector: Vector) -> None:
    identity, static_static = _us(vector)
    unproven = noise.decrypt_static_untrusted(identity, _initiation(vector))
    assert isinstance(unproven, noise.UnprovenInitiation)
    assert unproven.static_key == Key.from_hex(vector["their_private_key"]).public().raw
    proven = noise.decrypt_timestamp_untrusted(static_static, unproven)
    assert isinstance(proven, noise.ResponderState)
    assert proven.timestamp.hex() == vector["timestamp"]


@pytest.mark.parametrize("vector", THEY_INITIATE)
def test_our_response_to_them_has_these_bytes_and_gives_their_keys(vector: Vector) -> None:
    identity, static_static = _us(vector)
    unproven = noise.decrypt_static_untrusted(identity, _initiation(vector))
    assert isinstance(unproven, noise.UnprovenInitiation)
    proven = noise.decrypt_timestamp_untrusted(static_static, unproven)
    assert isinstance(proven, noise.ResponderState)
    written = noise.respond(
        proven,
        _psk(vector),
        ephemeral=bytes.fromhex(vector["our_ephemeral"]),
        index=int(vector["our_index"], 16),
    )
    message, keys = written
    assert message.build().hex() == vector["response"]
    assert _opens(vector["transport"], keys)


@pytest.mark.parametrize("vector", WE_INITIATE)
def test_our_initiation_has_these_bytes(vector: Vector) -> None:
    message, _ = _our_initiation(vector)
    assert message.build().hex() == vector["initiation"]


@pytest.mark.parametrize("vector", WE_INITIATE)
def test_their_response_gives_their_keys(vector: Vector) -> None:
    _, state = _our_initiation(vector)
    keys = noise.consume_response_untrusted(state, _psk(vector), _response(vector))
    assert isinstance(keys, noise.SessionKeys)
    assert _opens(vector["transport"], keys)


@pytest.mark.parametrize("vector", WE_INITIATE)
def test_their_response_does_not_decrypt_with_another_preshared_key(vector: Vector) -> None:
    _, state = _our_initiation(vector)
    keys = noise.consume_response_untrusted(state, bytes([1] * 32), _response(vector))
    assert keys is Discard.UNDECRYPTABLE


def _us(vector: Vector) -> tuple[noise.Identity, noise.StaticStatic]:
    identity = noise.Identity(bytes.fromhex(vector["our_private_key"]))
    them = Key.from_hex(vector["their_private_key"]).public().raw
    static_static = identity.static_static(them)
    assert static_static is not None
    return identity, static_static


def _our_initiation(vector: Vector) -> tuple[Initiation, noise.InitiatorState]:
    _, static_static = _us(vector)
    return noise.initiate(
        static_static,
        ephemeral=bytes.fromhex(vector["our_ephemeral"]),
        index=int(vector["our_index"], 16),
        timestamp=bytes.fromhex(vector["timestamp"]),
    )


def _initiation(vector: Vector) -> Initiation:
    message = parse_handshake_untrusted(bytes.fromhex(vector["initiation"]))
    assert isinstance(message, Initiation)
    return message


def _response(vector: Vector) -> Response:
    message = parse_handshake_untrusted(bytes.fromhex(vector["response"]))
    assert isinstance(message, Response)
    return message


def _psk(vector: Vector) -> bytes:
    return bytes.fromhex(vector["preshared_key"]) or noise.NO_PRESHARED_KEY


def _opens(transport: str, keys: noise.SessionKeys) -> bool:
    """Return whether a recorded transport packet decrypts under this session."""
    packet = bytes.fromhex(transport)
    assert int.from_bytes(packet[4:8], "little") == keys.local_index
    nonce = bytes(4) + packet[8:16]
    return ChaCha20Poly1305(keys.receive).decrypt(nonce, packet[16:], b"") == b""

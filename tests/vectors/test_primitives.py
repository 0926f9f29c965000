"""The libraries that provide our primitives pass the published test vectors."""

from __future__ import annotations

import json
from hashlib import blake2s
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from holloway.core.noise import Identity, Remote

VECTORS = json.loads((Path(__file__).parent / "primitives.json").read_text())


def test_blake2s_of_abc() -> None:
    assert blake2s(b"abc").hexdigest() == VECTORS["blake2s"]["abc"]


def test_blake2s_with_and_without_key_at_the_lengths_of_the_self_test() -> None:
    total = blake2s()
    for out in (16, 20, 28, 32):
        for length in (0, 3, 64, 65, 255, 1024):
            data, key = _sequence(length), _sequence(out)
            total.update(blake2s(data, digest_size=out).digest())
            total.update(blake2s(data, digest_size=out, key=key).digest())
    assert total.hexdigest() == VECTORS["blake2s"]["self_test"]


@pytest.mark.parametrize("vector", VECTORS["x25519"]["products"])
def test_x25519_products(vector: dict[str, str]) -> None:
    private = X25519PrivateKey.from_private_bytes(bytes.fromhex(vector["scalar"]))
    public = X25519PublicKey.from_public_bytes(bytes.fromhex(vector["point"]))
    assert private.exchange(public).hex() == vector["product"]


@pytest.mark.parametrize("point", VECTORS["x25519"]["low_order"])
def test_a_point_of_low_order_gives_no_secret(point: str) -> None:
    identity = Identity.of(bytes(range(32)))
    assert identity.static_static(Remote.of(bytes.fromhex(point))) is None


def test_chacha20_poly1305() -> None:
    vector = {
        name: bytes.fromhex(VECTORS["chacha20_poly1305"][name])
        for name in ("key", "nonce", "aad", "plaintext", "sealed")
    }
    cipher = ChaCha20Poly1305(vector["key"])
    assert cipher.encrypt(vector["nonce"], vector["plaintext"], vector["aad"]) == vector["sealed"]
    assert cipher.decrypt(vector["nonce"], vector["sealed"], vector["aad"]) == vector["plaintext"]


def _sequence(length: int) -> bytes:
    """Return bytes of the generator in RFC 7693, appendix E, with the length as the seed."""
    a, b = 0xDEAD4BAD * length & 0xFFFFFFFF, 1
    out = bytearray()
    for _ in range(length):
        a, b = b, a + b & 0xFFFFFFFF
        out.append(b >> 24)
    return bytes(out)

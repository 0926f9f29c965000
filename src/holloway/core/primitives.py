"""X25519, ChaCha20-Poly1305 and BLAKE2s, from where they load fastest.

The public modules have the same objects. But the first key that those of `cryptography` make loads
a backend of all its algorithms: 15 ms, a tenth of the time in which a program opens a network. And
`hashlib` loads OpenSSL's hashes. Where another version has its extension elsewhere, the public
modules are used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import hashlib
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    Primitives = tuple[
        Callable[[bytes], X25519PrivateKey],
        Callable[[bytes], X25519PublicKey],
        type[ChaCha20Poly1305],
    ]

__all__ = ["blake2s", "cipher", "private_key", "public_key"]


def from_extension() -> Primitives:
    """Return the functions of the extension; raises ImportError and AttributeError."""
    from cryptography.hazmat.bindings._rust import openssl

    cipher: type[ChaCha20Poly1305] = openssl.aead.ChaCha20Poly1305
    return openssl.x25519.from_private_bytes, openssl.x25519.from_public_bytes, cipher


def from_public_modules() -> Primitives:
    """Return the same from the documented modules."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    return X25519PrivateKey.from_private_bytes, X25519PublicKey.from_public_bytes, ChaCha20Poly1305


def choose(preferred: Callable[[], Primitives]) -> Primitives:
    """Return the preferred functions if this version of the package has them."""
    try:
        return preferred()
    except (ImportError, AttributeError):
        return from_public_modules()


def choose_blake2s(preferred: str) -> type[hashlib.blake2s]:
    """Return the hash of the preferred module if this Python has it."""
    try:
        found: type[hashlib.blake2s] = import_module(preferred).blake2s
    except (ImportError, AttributeError):
        found = import_module("hashlib").blake2s
    return found


private_key, public_key, cipher = choose(from_extension)
blake2s = choose_blake2s("_blake2")

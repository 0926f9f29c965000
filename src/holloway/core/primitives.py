"""X25519 and ChaCha20-Poly1305, from the extension of `cryptography`.

Its public modules are the same objects, but the first key made with them loads a backend of all its
algorithms: 15 ms, a tenth of the time in which a program opens a network. Where another version of
the package has its extension elsewhere, the public modules are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    Primitives = tuple[
        Callable[[bytes], X25519PrivateKey],
        Callable[[bytes], X25519PublicKey],
        type[ChaCha20Poly1305],
    ]

__all__ = ["cipher", "private_key", "public_key"]


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


private_key, public_key, cipher = choose(from_extension)

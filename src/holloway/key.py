"""A WireGuard key: 32 bytes, written in base64 for users and in hexadecimal in the UAPI.

Private, public and preshared keys all have the type `Key`. Its repr hides the bytes, so that no log
or traceback shows a secret. To print a key, use its `base64` or `hex`.
"""

from __future__ import annotations

import binascii
import os
from _operator import _compare_digest

from holloway.errors import KeyFormatError

TYPE_CHECKING = False  # without `typing`, which takes 6 ms to load
if TYPE_CHECKING:
    from typing import ClassVar, Final

KEY_LENGTH: Final = 32
BASE64_LENGTH: Final = 44


class Key:
    """A private, public or preshared key of 32 bytes."""

    __slots__ = ("_raw",)

    ZERO: ClassVar[Key]
    """All zeros: in an update it removes the present key (wg(8), UAPI, netlink)."""

    def __init__(self, raw: bytes) -> None:
        if len(raw) != KEY_LENGTH:
            hint = "; Key.from_base64 reads text" if len(raw) == BASE64_LENGTH else ""
            raise KeyFormatError(f"a key has 32 bytes{hint}")
        self._raw = bytes(raw)

    @classmethod
    def generate(cls) -> Key:
        """Make a new private key, as `wg genkey` does; `public()` of it is for the peers."""
        return cls(os.urandom(KEY_LENGTH)).clamped()

    @classmethod
    def from_base64(cls, text: str) -> Key:
        """Parse 44 characters of canonical base64; raises `KeyFormatError`."""
        try:
            raw = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
        except ValueError:
            raise KeyFormatError("a key has 44 base64 characters") from None
        key = cls(raw)
        if key.base64 != text:
            raise KeyFormatError("a key has 44 base64 characters")
        return key

    @classmethod
    def from_hex(cls, text: str) -> Key:
        """Parse 64 hexadecimal digits, the form of the UAPI; raises `KeyFormatError`."""
        try:
            return cls(binascii.unhexlify(text))
        except ValueError:
            raise KeyFormatError("a key has 64 hexadecimal digits") from None

    @property
    def raw(self) -> bytes:
        """The 32 bytes."""
        return self._raw

    @property
    def base64(self) -> str:
        """The 44 characters that wg(8) prints."""
        return binascii.b2a_base64(self._raw, newline=False).decode("ascii")

    @property
    def hex(self) -> str:
        """The 64 digits that the UAPI uses."""
        return self._raw.hex()

    def clamped(self) -> Key:
        """Return this key as an X25519 scalar (RFC 7748, section 5), as `wg genkey` makes it."""
        scalar = bytearray(self._raw)
        scalar[0] &= 248
        scalar[31] = (scalar[31] & 127) | 64
        return Key(bytes(scalar))

    def public(self) -> Key:
        """Derive the public key of this private key (X25519, RFC 7748)."""
        # Not OpenSSL's X25519, which takes 13 ms to load. Imported here, because `wg genkey` does
        # not need it.
        from holloway._native import public_key

        return Key(public_key(self._raw))

    def __bool__(self) -> bool:
        """Whether any bit is set; `Key.ZERO` means "no key"."""
        return self._raw != bytes(KEY_LENGTH)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Key):
            return False
        # What `hmac.compare_digest` is without OpenSSL, which takes longer to load than `wg show`.
        return _compare_digest(self._raw, other._raw)

    def __hash__(self) -> int:
        return hash(self._raw)

    def __repr__(self) -> str:
        return "Key(hidden)"


Key.ZERO = Key(bytes(KEY_LENGTH))

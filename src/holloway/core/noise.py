"""Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s, both roles (paper, 5.4; Noise revision 34).

Pure functions of values: random bytes, time and keys are arguments, and no state is kept. A failed
decryption returns a `Discard` and raises nothing. Only `peer` and `device` call this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag

from holloway.core.discard import Discard
from holloway.core.primitives import blake2s, cipher, private_key, public_key
from holloway.core.wire import Initiation, Response

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

CONSTRUCTION: Final = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"  # paper, 5.4
IDENTIFIER: Final = b"WireGuard v1 zx2c4 Jason@zx2c4.com"  # paper, 5.4
NO_PRESHARED_KEY: Final = bytes(32)  # paper, 5.2: without one, Q is zeros
EPHEMERAL_LENGTH: Final = 32

_INITIAL_CHAINING_KEY: Final = blake2s(CONSTRUCTION).digest()
_INITIAL_HASH: Final = blake2s(_INITIAL_CHAINING_KEY + IDENTIFIER).digest()
_NONCE: Final = bytes(12)  # paper, 5.4: every handshake key encrypts once, with counter 0


@dataclass(frozen=True, slots=True, repr=False)
class Remote:
    """A public key, and the transcript hash with which message 1 to its owner begins."""

    raw: bytes
    public: X25519PublicKey
    hash: bytes

    @classmethod
    def of(cls, raw: bytes) -> Remote:
        """Build from a public key."""
        return cls(raw, public_key(raw), _mix_hash(_INITIAL_HASH, raw))


@dataclass(frozen=True, slots=True, repr=False)
class Identity:
    """Our private key, and our public key as a `Remote`."""

    private: X25519PrivateKey
    remote: Remote

    @classmethod
    def of(cls, raw: bytes) -> Identity:
        """Build from our private key."""
        private = private_key(raw)
        return cls(private, Remote.of(private.public_key().public_bytes_raw()))

    def static_static(self, them: Remote) -> StaticStatic | None:
        """Compute the secret shared with a peer, or return None if its key is of low order."""
        secret = _exchange(self.private, them.public)
        return None if secret is None else StaticStatic(self, them, secret)


@dataclass(frozen=True, slots=True, repr=False)
class StaticStatic:
    """Two static keys and their shared secret, computed once: half the cost of message 1."""

    us: Identity
    them: Remote
    secret: bytes


@dataclass(frozen=True, slots=True, repr=False)
class InitiatorState:
    """The initiator's state after message 1, needed to read message 2."""

    static_static: StaticStatic
    index: int
    ephemeral: X25519PrivateKey
    chaining_key: bytes
    hash: bytes


@dataclass(frozen=True, slots=True, repr=False)
class UnprovenInitiation:
    """A message 1 whose static key is decrypted; its timestamp does not prove it yet."""

    message: Initiation
    static: bytes
    chaining_key: bytes
    hash: bytes


@dataclass(frozen=True, slots=True, repr=False)
class ResponderState:
    """The responder's state after a proven message 1, needed to write message 2."""

    static_static: StaticStatic
    remote_index: int
    ephemeral: X25519PublicKey
    timestamp: bytes
    chaining_key: bytes
    hash: bytes


@dataclass(frozen=True, slots=True, repr=False)
class SessionKeys:
    """The keys of a session in both directions, and its index on each side."""

    local_index: int
    remote_index: int
    send: bytes
    receive: bytes


def initiate(
    static_static: StaticStatic, *, ephemeral: bytes, index: int, timestamp: bytes
) -> tuple[Initiation, InitiatorState]:
    """Build message 1 (paper, 5.4.2)."""
    private = private_key(ephemeral)
    public = private.public_key().public_bytes_raw()
    chaining_key = _kdf1(_INITIAL_CHAINING_KEY, public)
    transcript = _mix_hash(static_static.them.hash, public)
    secret = _exchange(private, static_static.them.public)
    assert secret is not None  # whether a public key is of low order depends on no private key
    chaining_key, key = _kdf2(chaining_key, secret)
    static = cipher(key).encrypt(_NONCE, static_static.us.remote.raw, transcript)
    transcript = _mix_hash(transcript, static)
    chaining_key, key = _kdf2(chaining_key, static_static.secret)
    sealed = cipher(key).encrypt(_NONCE, timestamp, transcript)
    transcript = _mix_hash(transcript, sealed)
    state = InitiatorState(static_static, index, private, chaining_key, transcript)
    return Initiation(index, public, static, sealed), state


def decrypt_static_untrusted(
    identity: Identity, message: Initiation
) -> UnprovenInitiation | Discard:
    """Decrypt the static public key in message 1 (paper, 5.4.2)."""
    chaining_key = _kdf1(_INITIAL_CHAINING_KEY, message.ephemeral)
    transcript = _mix_hash(identity.remote.hash, message.ephemeral)
    secret = _exchange(identity.private, public_key(message.ephemeral))
    if secret is None:
        return Discard.LOW_ORDER
    chaining_key, key = _kdf2(chaining_key, secret)
    static = _open(key, message.static, transcript)
    if static is None:
        return Discard.UNDECRYPTABLE
    return UnprovenInitiation(message, static, chaining_key, _mix_hash(transcript, message.static))


def decrypt_timestamp_untrusted(
    static_static: StaticStatic, unproven: UnprovenInitiation
) -> ResponderState | Discard:
    """Decrypt the timestamp in message 1, which proves its sender (paper, 5.4.2)."""
    chaining_key, key = _kdf2(unproven.chaining_key, static_static.secret)
    timestamp = _open(key, unproven.message.timestamp, unproven.hash)
    if timestamp is None:
        return Discard.UNDECRYPTABLE
    ephemeral = public_key(unproven.message.ephemeral)
    transcript = _mix_hash(unproven.hash, unproven.message.timestamp)
    return ResponderState(
        static_static, unproven.message.sender, ephemeral, timestamp, chaining_key, transcript
    )


def respond(
    state: ResponderState, preshared_key: bytes, *, ephemeral: bytes, index: int
) -> tuple[Response, SessionKeys]:
    """Build message 2, and derive the session keys (paper, 5.4.3 and 5.4.5)."""
    private = private_key(ephemeral)
    public = private.public_key().public_bytes_raw()
    chaining_key = _kdf1(state.chaining_key, public)
    transcript = _mix_hash(state.hash, public)
    for other in (state.ephemeral, state.static_static.them.public):
        secret = _exchange(private, other)
        assert secret is not None  # our private key has had a secret with each of them
        chaining_key = _kdf1(chaining_key, secret)
    chaining_key, tau, key = _kdf3(chaining_key, preshared_key)
    transcript = _mix_hash(transcript, tau)
    nothing = cipher(key).encrypt(_NONCE, b"", transcript)
    receive, send = _kdf2(chaining_key, b"")
    message = Response(index, state.remote_index, public, nothing)
    return message, SessionKeys(index, state.remote_index, send, receive)


def consume_response_untrusted(
    state: InitiatorState, preshared_key: bytes, message: Response
) -> SessionKeys | Discard:
    """Read message 2, and derive the session keys (paper, 5.4.3 and 5.4.5)."""
    other = public_key(message.ephemeral)
    chaining_key = _kdf1(state.chaining_key, message.ephemeral)
    transcript = _mix_hash(state.hash, message.ephemeral)
    for private in (state.ephemeral, state.static_static.us.private):
        secret = _exchange(private, other)
        if secret is None:
            return Discard.LOW_ORDER
        chaining_key = _kdf1(chaining_key, secret)
    chaining_key, tau, key = _kdf3(chaining_key, preshared_key)
    transcript = _mix_hash(transcript, tau)
    if _open(key, message.nothing, transcript) is None:
        return Discard.UNDECRYPTABLE
    send, receive = _kdf2(chaining_key, b"")
    return SessionKeys(state.index, message.sender, send, receive)


def _exchange(private: X25519PrivateKey, public: X25519PublicKey) -> bytes | None:
    try:
        return private.exchange(public)
    except ValueError:  # the all-zero secret of a low-order key (RFC 7748, section 6.1)
        return None


def _open(key: bytes, sealed: bytes, transcript: bytes) -> bytes | None:
    try:
        return cipher(key).decrypt(_NONCE, sealed, transcript)
    except InvalidTag:
        return None


def _mix_hash(transcript: bytes, data: bytes) -> bytes:
    return blake2s(transcript + data).digest()


# HMAC-BLAKE2s (RFC 2104) by hand, for 32-byte keys and 64-byte blocks. It takes half the time of
# `hmac.digest`, and a handshake computes two dozen.
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))
_INNER_FILL: Final = b"\x36" * 32
_OUTER_FILL: Final = b"\x5c" * 32


def _hmac(key: bytes, data: bytes) -> bytes:
    inner = blake2s(key.translate(_INNER) + _INNER_FILL + data).digest()
    return blake2s(key.translate(_OUTER) + _OUTER_FILL + inner).digest()


def _kdf1(key: bytes, data: bytes) -> bytes:
    return _hmac(_hmac(key, data), b"\x01")


def _kdf2(key: bytes, data: bytes) -> tuple[bytes, bytes]:
    secret = _hmac(key, data)
    first = _hmac(secret, b"\x01")
    return first, _hmac(secret, first + b"\x02")


def _kdf3(key: bytes, data: bytes) -> tuple[bytes, bytes, bytes]:
    secret = _hmac(key, data)
    first = _hmac(secret, b"\x01")
    second = _hmac(secret, first + b"\x02")
    return first, second, _hmac(secret, second + b"\x03")

"""Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s, both roles (paper, 5.4; Noise revision 34).

Pure functions of values: time and keys are arguments, and no state is kept. The extension computes
them; this module connects it with the layout of messages. Without an `ephemeral` private key the
extension draws one, which Python then never has. A failed decryption returns a `Discard` and raises
nothing. Only `peer` and `device` call this module.
"""

from __future__ import annotations

from typing import Final

from holloway._native import (
    Identity,
    InitiatorState,
    ResponderState,
    SessionKeys,
    StaticStatic,
    UnprovenInitiation,
)
from holloway.core.discard import Discard
from holloway.core.wire import Initiation, Response

__all__ = [
    "NO_PRESHARED_KEY",
    "Identity",
    "InitiatorState",
    "ResponderState",
    "SessionKeys",
    "StaticStatic",
    "UnprovenInitiation",
    "consume_response_untrusted",
    "decrypt_static_untrusted",
    "decrypt_timestamp_untrusted",
    "initiate",
    "respond",
]

NO_PRESHARED_KEY: Final = bytes(32)  # paper, 5.2: without one, Q is zeros


def initiate(
    static_static: StaticStatic, *, ephemeral: bytes | None, index: int, timestamp: bytes
) -> tuple[Initiation, InitiatorState]:
    """Build message 1 (paper, 5.4.2)."""
    state, public, static, sealed = static_static.initiate(ephemeral, index, timestamp)
    return Initiation(index, public, static, sealed), state


def decrypt_static_untrusted(
    identity: Identity, message: Initiation
) -> UnprovenInitiation | Discard:
    """Decrypt the static public key in message 1 (paper, 5.4.2)."""
    unproven = identity.decrypt_static(*message)
    return Discard(unproven) if isinstance(unproven, str) else unproven


def decrypt_timestamp_untrusted(
    static_static: StaticStatic, unproven: UnprovenInitiation
) -> ResponderState | Discard:
    """Decrypt the timestamp in message 1, which proves its sender (paper, 5.4.2)."""
    proven = unproven.decrypt_timestamp(static_static)
    return Discard(proven) if isinstance(proven, str) else proven


def respond(
    state: ResponderState, preshared_key: bytes, *, ephemeral: bytes | None, index: int
) -> tuple[Response, SessionKeys]:
    """Build message 2, and derive the session keys (paper, 5.4.3 and 5.4.5)."""
    keys, public, nothing = state.respond(preshared_key, ephemeral, index)
    return Response(index, keys.remote_index, public, nothing), keys


def consume_response_untrusted(
    state: InitiatorState, preshared_key: bytes, message: Response
) -> SessionKeys | Discard:
    """Consume message 2, and derive the session keys (paper, 5.4.3 and 5.4.5)."""
    keys = state.consume_response(preshared_key, message.sender, message.ephemeral, message.nothing)
    return Discard(keys) if isinstance(keys, str) else keys

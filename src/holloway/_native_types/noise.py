"""The cryptography of a handshake: Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s (paper, 5.4)."""

from holloway._native import (
    Identity,
    InitiatorState,
    ResponderState,
    SessionKeys,
    StaticStatic,
    UnprovenInitiation,
)

__all__ = [
    "Identity",
    "InitiatorState",
    "ResponderState",
    "SessionKeys",
    "StaticStatic",
    "UnprovenInitiation",
]

"""The reasons for which the brain discards a handshake message; each message is counted."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum


class Discard(StrEnum):
    """A reason; its value is the name that users see."""

    BAD_MESSAGE = "bad_message"
    """The message is neither an initiation nor a response."""
    INITIATION_FLOOD = "initiation_flood"
    """It is a peer's second initiation within a fiftieth of a second."""
    INTERNAL_ERROR = "internal_error"
    """Handling the message raised an exception, which the shell logs."""
    LATE_RESPONSE = "late_response"
    """The response passed the cookie checker, but nothing waits for it any more."""
    LOW_ORDER = "low_order"
    """A public key is of low order: it gives everyone the same secret (RFC 7748, section 6.1)."""
    NO_PRIVATE_KEY = "no_private_key"
    """We have no private key to read the message with."""
    REPLAYED_INITIATION = "replayed_initiation"
    """The timestamp is not greater than the peer's greatest so far."""
    UNDECRYPTABLE = "undecryptable"
    """Decryption fails: the message is forged, or for another key or preshared key."""
    UNKNOWN_PEER = "unknown_peer"
    """The initiation's public key belongs to none of our peers."""


def tally(counts: Counter[Discard]) -> dict[str, int]:
    """Return every reason with its count, zeros included."""
    return {reason.value: counts[reason] for reason in Discard}

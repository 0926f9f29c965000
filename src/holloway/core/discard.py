"""Why the brain did not pass a handshake message on: every one is counted under its reason."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum


class Discard(StrEnum):
    """A reason, named as users read it."""

    BAD_MESSAGE = "bad_message"
    """Not an initiation and not a response."""
    INITIATION_FLOOD = "initiation_flood"
    """A peer's second initiation within a fiftieth of a second."""
    LATE_RESPONSE = "late_response"
    """A response that passed the cookie checker, to an initiation that we wait on no longer."""
    LOW_ORDER = "low_order"
    """A public key that gives everyone the same shared secret (RFC 7748, section 6.1)."""
    NO_PRIVATE_KEY = "no_private_key"
    """A handshake message, and we have no key to read it with."""
    REPLAYED_INITIATION = "replayed_initiation"
    """A timestamp not beyond the greatest the peer has shown."""
    UNDECRYPTABLE = "undecryptable"
    """A seal that does not open: forged, for another key, or another preshared key."""
    UNKNOWN_PEER = "unknown_peer"
    """An initiation by a public key that is none of our peers."""


def tally(counts: Counter[Discard]) -> dict[str, int]:
    """Return every reason with its count, zeros too."""
    return {reason.value: counts[reason] for reason in Discard}

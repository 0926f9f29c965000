"""Handshake messages as bytes: parse and build (paper, 5.4.2 and 5.4.3).

Messages here have no macs: the plane checks, removes and adds mac1 and mac2. This module has no key
and no state; the brain calls it with the messages that passed the plane's checks.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from holloway.errors import BadMessage

INITIATION_TYPE: Final = (
    1  # paper, 5.4.2; with its three reserved zeros, a little-endian 32-bit integer
)
RESPONSE_TYPE: Final = 2  # paper, 5.4.3

# type, sender, ephemeral, encrypted static, encrypted timestamp
_INITIATION: Final = struct.Struct("<II32s48s28s")
# type, sender, receiver, ephemeral, encrypted nothing
_RESPONSE: Final = struct.Struct("<III32s16s")

INITIATION_LENGTH: Final = _INITIATION.size  # 116, without the macs
RESPONSE_LENGTH: Final = _RESPONSE.size  # 60, without the macs


class Initiation(NamedTuple):
    """Message 1: the initiator's identity, encrypted for the responder."""

    sender: int
    ephemeral: bytes
    static: bytes
    timestamp: bytes

    def build(self) -> bytes:
        """Return the 116 bytes."""
        return _INITIATION.pack(
            INITIATION_TYPE, self.sender, self.ephemeral, self.static, self.timestamp
        )


class Response(NamedTuple):
    """Message 2: the response, after which both sides have the session keys."""

    sender: int
    receiver: int
    ephemeral: bytes
    nothing: bytes

    def build(self) -> bytes:
        """Return the 60 bytes."""
        return _RESPONSE.pack(
            RESPONSE_TYPE, self.sender, self.receiver, self.ephemeral, self.nothing
        )


def parse_handshake_untrusted(message: bytes) -> Initiation | Response:
    """Parse a handshake message without macs; raises only `BadMessage`."""
    if len(message) == INITIATION_LENGTH:
        kind, sender, ephemeral, static, timestamp = _INITIATION.unpack(message)
        if kind == INITIATION_TYPE:
            return Initiation(sender, ephemeral, static, timestamp)
    elif len(message) == RESPONSE_LENGTH:
        kind, sender, receiver, ephemeral, nothing = _RESPONSE.unpack(message)
        if kind == RESPONSE_TYPE:
            return Response(sender, receiver, ephemeral, nothing)
    raise BadMessage("neither an initiation nor a response")

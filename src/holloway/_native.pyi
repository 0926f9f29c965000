"""The extension: packet plane, cryptography of handshakes, text codec, relay, TCP/IP stack.

This is the border between brain and plane. Packet bytes never cross it to Python. The handshake's
cryptography is beside the plane, not in it: the brain calls it, and passes the session keys that
result on to the plane, which gets no private key. Integers named
`now`, `reject`, `renew_*` and `next` are nanoseconds on CLOCK_BOOTTIME. Every class is frozen and
may be used from any thread. `_native_types` documents each class.
"""

from holloway._native_types.change import AllowedIPsChange, PeerChange
from holloway._native_types.codec import (
    Changes,
    Refused,
    State,
    Update,
    blank_line,
    dump_answer,
    public_key,
    read_endpoint,
    read_fwmark,
    read_keepalive,
    read_port,
)
from holloway._native_types.events import (
    Confirmed,
    CookieReceived,
    DebtBegan,
    Died,
    Event,
    Handshake,
    SendFailing,
    SessionNeeded,
    UnknownIndex,
    Unreachable,
)
from holloway._native_types.noise import (
    Identity,
    InitiatorState,
    ResponderState,
    SessionKeys,
    StaticStatic,
    UnprovenInitiation,
)
from holloway._native_types.plane import Due, Peer, Plane
from holloway._native_types.relay import Relay, RelayPair
from holloway._native_types.seccomp import confine_system_calls
from holloway._native_types.stack import Attempt, Echoed, Ended, Failed, Stack, StackEvent
from holloway._native_types.tun import Endpoint, Tun

__all__ = [
    "AllowedIPsChange",
    "Attempt",
    "Changes",
    "Confirmed",
    "CookieReceived",
    "DebtBegan",
    "Died",
    "Due",
    "Echoed",
    "Ended",
    "Endpoint",
    "Event",
    "Failed",
    "Handshake",
    "Identity",
    "InitiatorState",
    "Peer",
    "PeerChange",
    "Plane",
    "Refused",
    "Relay",
    "RelayPair",
    "ResponderState",
    "SendFailing",
    "SessionKeys",
    "SessionNeeded",
    "Stack",
    "StackEvent",
    "State",
    "StaticStatic",
    "Tun",
    "UnknownIndex",
    "UnprovenInitiation",
    "Unreachable",
    "Update",
    "blank_line",
    "confine_system_calls",
    "dump_answer",
    "public_key",
    "read_endpoint",
    "read_fwmark",
    "read_keepalive",
    "read_port",
]

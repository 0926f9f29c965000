"""The extension: the packet plane, the text codec, a relay, a TCP/IP stack.

This is the border between brain and plane. Packet bytes never cross it to Python. Noise never
crosses it to Rust, and a private key crosses only inside an update or a state. Integers named
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
    "Peer",
    "PeerChange",
    "Plane",
    "Refused",
    "Relay",
    "RelayPair",
    "SendFailing",
    "SessionNeeded",
    "Stack",
    "StackEvent",
    "State",
    "Tun",
    "UnknownIndex",
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

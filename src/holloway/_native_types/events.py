"""The events that the plane reports to the brain."""

from holloway._native import (
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

__all__ = [
    "Confirmed",
    "CookieReceived",
    "DebtBegan",
    "Died",
    "Event",
    "Handshake",
    "SendFailing",
    "SessionNeeded",
    "UnknownIndex",
    "Unreachable",
]

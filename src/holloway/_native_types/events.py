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
    "Unreachable",
]

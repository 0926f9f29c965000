"""The events that the plane reports to the brain."""

from holloway._native import (
    Confirmed,
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
    "DebtBegan",
    "Died",
    "Event",
    "Handshake",
    "SendFailing",
    "SessionNeeded",
    "Unreachable",
]

"""The values that move in the simulation: endpoints, datagrams, events, and actions taken."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from holloway.core.constants import Nanoseconds

MACS = 32
TRANSPORT_OVERHEAD = 32


@dataclass(frozen=True)
class SimEndpoint:
    host: str
    port: int
    local: str | None = field(default=None, compare=False)


@dataclass(frozen=True)
class HandshakeDatagram:
    message: bytes

    @property
    def size(self) -> int:
        return len(self.message) + MACS


@dataclass(frozen=True)
class TransportDatagram:
    receiver: int
    key: bytes
    counter: int
    payload: bytes

    @property
    def size(self) -> int:
        return len(self.payload) + TRANSPORT_OVERHEAD


Datagram = HandshakeDatagram | TransportDatagram


@dataclass(frozen=True)
class HandshakeEvent:
    message: bytes
    size: int
    remote: SimEndpoint


@dataclass(frozen=True)
class StaleEvent:
    peer: int


@dataclass(frozen=True)
class ActiveEvent:
    peer: int


@dataclass(frozen=True)
class ConfirmedEvent:
    peer: int


@dataclass(frozen=True)
class CookieEvent:
    peer: int


@dataclass(frozen=True)
class UnknownIndexEvent:
    peer: int


Event = HandshakeEvent | StaleEvent | ActiveEvent | ConfirmedEvent | CookieEvent | UnknownIndexEvent


class Action(NamedTuple):
    """Something that the plane was asked to do, or that it sent."""

    at: Nanoseconds
    what: str
    peer: int

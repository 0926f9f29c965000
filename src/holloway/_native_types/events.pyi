"""The events that the plane reports to the brain."""

from typing import final

from holloway._native_types.tun import Endpoint

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

@final
class Handshake:
    """A handshake message that passed the cookie checker, with its macs removed."""

    @property
    def message(self) -> bytes: ...
    @property
    def size(self) -> int:
        """The length of the datagram, macs included."""

    @property
    def remote(self) -> Endpoint: ...

@final
class SessionNeeded:
    """A peer has traffic but no session, or must renew it. `Peer.arm_session_needed` rearms it."""

    @property
    def peer(self) -> int: ...

@final
class DebtBegan:
    """A debt began: data in one direction is unanswered. One-shot: `Peer.due` rearms it."""

    @property
    def peer(self) -> int: ...

@final
class Confirmed:
    """The first packet of a responder's new session arrived: the session is now in use."""

    @property
    def peer(self) -> int: ...

@final
class CookieReceived:
    """The peer is under load and sent a cookie for our initiation, which had none."""

    @property
    def peer(self) -> int: ...

@final
class UnknownIndex:
    """Data came from the endpoint of a peer without a session, under an index that no session has.

    The peer may have a session that was lost in a restart. The data is not authentic: anybody can
    forge its source. There is at most one event in five seconds for each peer.
    """

    @property
    def peer(self) -> int: ...

@final
class SendFailing:
    """Sending UDP began to fail with `errno`, or works again (0). There is one event per change.

    Sending works again when a packet leaves to the peer for which it failed, at least a second
    after the last failure. A full queue (EAGAIN, ENOBUFS) does not count as a failure.
    """

    @property
    def errno(self) -> int: ...

@final
class Unreachable:
    """A packet for `destination` cannot be sent: no peer has the address (`peer` is None), or the
    peer's endpoint is not known. The events are limited to ten at once and two a second, and come
    only after `Plane.report_unreachable`.
    """

    @property
    def destination(self) -> str: ...
    @property
    def peer(self) -> int | None: ...

@final
class Died:
    """The plane's thread has ended: the interface is gone (EBADFD), or there is a bug (EIO)."""

    @property
    def errno(self) -> int: ...

Event = (
    Handshake
    | SessionNeeded
    | DebtBegan
    | Confirmed
    | CookieReceived
    | UnknownIndex
    | SendFailing
    | Unreachable
    | Died
)

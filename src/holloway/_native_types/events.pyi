"""What the plane reports to the brain."""

from typing import final

from holloway._native_types.tun import Endpoint

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

@final
class Handshake:
    """A handshake message that passed the cookie checker: the Noise message, its macs cut."""

    @property
    def message(self) -> bytes: ...
    @property
    def size(self) -> int:
        """The datagram's length with its macs."""

    @property
    def remote(self) -> Endpoint: ...

@final
class SessionNeeded:
    """A peer has traffic and no session, or one to renew. One-shot: `Peer.arm_session_needed`."""

    @property
    def peer(self) -> int: ...

@final
class DebtBegan:
    """A debt began (data unanswered on either side). One-shot: `Peer.due` arms it again."""

    @property
    def peer(self) -> int: ...

@final
class Confirmed:
    """The first packet under a responder's new session arrived: the session is now in use."""

    @property
    def peer(self) -> int: ...

@final
class SendFailing:
    """Sending UDP began to fail with `errno`, or works again (0). One event a change.

    It works again when a packet leaves to the peer that had the trouble, a second or more after
    the last that did not. A full queue (EAGAIN, ENOBUFS) is no trouble.
    """

    @property
    def errno(self) -> int: ...

@final
class Unreachable:
    """A packet for `destination` went nowhere: no peer has the address (`peer` is None), or the
    peer's endpoint is not known. At most ten at once and two a second, after
    `Plane.report_unreachable`.
    """

    @property
    def destination(self) -> str: ...
    @property
    def peer(self) -> int | None: ...

@final
class Died:
    """The plane's thread has ended: the interface is gone (EBADFD), or a fault (EIO)."""

    @property
    def errno(self) -> int: ...

Event = Handshake | SessionNeeded | DebtBegan | Confirmed | SendFailing | Unreachable | Died

"""TCP, UDP and ICMP within the program."""

from collections.abc import Sequence
from typing import final

from holloway._native_types.tun import Tun

__all__ = ["Acceptable", "Echoed", "Ended", "Failed", "Opened", "Stack", "StackEvent"]

@final
class Stack:
    """TCP, UDP and ICMP within the program, in a separate thread, over a `Tun` to the plane.

    Each request has a number, and its result is a `StackEvent` with that number. An address is
    numeric, with a port. A returned descriptor belongs to the caller, which must close it. It is
    one end of a non-blocking socket pair, SOCK_STREAM for TCP, SOCK_SEQPACKET for UDP.
    """

    def __new__(
        cls, name: str, addresses: Sequence[tuple[str, int]], mtu: int, buffer: int
    ) -> Stack:
        """Start a stack. `addresses` are ours, with prefix lengths; `buffer` is the size of each of
        a stream's two buffers.
        """

    @property
    def tun(self) -> Tun:
        """The interface for the plane."""

    def fileno(self) -> int:
        """An eventfd that is readable while events wait."""

    def events(self, limit: int = 64) -> list[StackEvent]:
        """Take up to `limit` events; the eventfd stays readable if more wait."""

    def connect(
        self, local: tuple[str, int] | None, remote: tuple[str, int], timeout: float, /
    ) -> int:
        """Connect by TCP: `Opened` or `Failed` (ETIMEDOUT after `timeout` seconds)."""

    def listen(self, local: tuple[str, int], backlog: int, /) -> int:
        """Listen for TCP connections: `Opened` or `Failed`, then `Acceptable`."""

    def accept(self, listener: int, /) -> tuple[int, tuple[str, int], tuple[str, int]] | None:
        """Accept a connection: its descriptor, remote and local address; None if none waits."""

    def datagrams(self, local: tuple[str, int] | None, remote: tuple[str, int] | None, /) -> int:
        """Open a UDP port: `Opened` or `Failed`.

        With `remote`, a message on the descriptor is a datagram's payload. Without, the remote
        address precedes each payload in both directions: two bytes of port, then 16 of IPv6 address
        (IPv4 addresses are mapped).
        """

    def echo(self, to: str, /) -> int:
        """Send an ICMP echo request: `Echoed`, `Failed`, or no event."""

    def cancel(self, request: int, /) -> None:
        """Cancel a request that is not open yet, or close a listener but no accepted connection.

        An event that is already queued may still come.
        """

    def counts(self) -> dict[str, int]:
        """Count the discarded packets and connections by reason."""

    def start_closing(self) -> None:
        """Have the thread do what `close` does, and return at once."""

    @property
    def has_ended(self) -> bool:
        """Whether the thread has ended, so that `close` does not wait for it."""

    def close(self) -> None:
        """Reset every stream, close every port and all unaccepted connections, end the thread.

        The `Tun` stays open for packets that still have to leave. All other calls raise OSError
        from now on.
        """

@final
class Opened:
    """A request succeeded: its descriptor (None for a listener) and its local address."""

    @property
    def id(self) -> int: ...
    @property
    def fd(self) -> int | None: ...
    @property
    def address(self) -> tuple[str, int]: ...

@final
class Failed:
    """A request failed."""

    @property
    def id(self) -> int: ...
    @property
    def errno(self) -> int: ...

@final
class Acceptable:
    """A listener has connections to accept, after it had none."""

    @property
    def id(self) -> int: ...

@final
class Echoed:
    """An echo reply arrived."""

    @property
    def id(self) -> int: ...
    @property
    def nanoseconds(self) -> int: ...

@final
class Ended:
    """The stack has ended unasked: the interface is gone (EBADFD), or there is a bug (EIO)."""

    @property
    def errno(self) -> int: ...

StackEvent = Opened | Failed | Acceptable | Echoed | Ended

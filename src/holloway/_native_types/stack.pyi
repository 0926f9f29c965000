"""TCP, UDP and ICMP within the program."""

from collections.abc import Sequence
from typing import final

from holloway._native_types.tun import Tun

__all__ = ["Attempt", "Echoed", "Ended", "Failed", "Stack", "StackEvent"]

@final
class Stack:
    """TCP, UDP and ICMP within the program, in a separate thread, over a `Tun` to the plane.

    A socket has a number and a descriptor, one end of a non-blocking socket pair. The descriptor
    belongs to the caller; the socket lives until all its copies are closed. An address is numeric,
    with a port. Calls that return one wait for the thread, which never waits for the interpreter.
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

    def stream(self) -> tuple[int, int]:
        """Make a TCP socket: its number and its descriptor, one end of a SOCK_STREAM pair."""

    def datagrams(self) -> tuple[int, int]:
        """Make a UDP socket: its number and its descriptor, one end of a SOCK_SEQPACKET pair.

        Each message has the other side's address before the payload, in both directions: two bytes
        of port, then 16 of IPv6 address (IPv4 addresses are mapped). A shorter message that is read
        is an errno, in the byte order of the machine.
        """

    def bind(self, socket: int, local: tuple[str, int], is_dual: bool, /) -> tuple[str, int]:
        """Bind a socket, and return its address. Port 0 is a free one. With `is_dual`, `::` is all
        IPv4 addresses too.
        """

    def name(self, socket: int, /) -> tuple[str, int]:
        """Return the local address of a socket; OSError if it has none."""

    def connect(self, socket: int, fd: int, remote: tuple[str, int], timeout: float, /) -> Attempt:
        """Begin to connect a TCP socket. Its descriptor `fd` is not writable until the attempt has
        ended, after `timeout` seconds at the latest (ETIMEDOUT).
        """

    def associate(self, socket: int, remote: tuple[str, int], /) -> tuple[str, int]:
        """Connect a UDP socket, and return its local address."""

    def listen(self, socket: int, backlog: int, /) -> tuple[str, int]:
        """Listen for TCP connections with a bound socket.

        Each that waits is a message on the socket's descriptor: the descriptor of the connection,
        as ancillary data, with the remote and the local address as in a datagram.
        """

    def echo(self, to: str, /) -> int:
        """Send an ICMP echo request: `Echoed`, `Failed`, or no event."""

    def cancel(self, request: int, /) -> None:
        """Cancel an echo request. An event that is already queued may still come."""

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
class Attempt:
    """An attempt to connect."""

    def outcome(self) -> tuple[int, tuple[str, int] | None] | None:
        """Return an errno, or 0 and the local address; None while it lasts."""

@final
class Failed:
    """An echo request failed."""

    @property
    def id(self) -> int: ...
    @property
    def errno(self) -> int: ...

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

StackEvent = Failed | Echoed | Ended

"""TCP, UDP and ICMP within the program."""

from collections.abc import Sequence
from typing import final

from holloway._native_types.tun import Tun

__all__ = ["Acceptable", "Echoed", "Ended", "Failed", "Opened", "Stack", "StackEvent"]

@final
class Stack:
    """TCP, UDP and ICMP within the program, in a thread of its own, over a `Tun` to the plane.

    What is asked for has a number, and what comes of it is a `StackEvent` with that number. An
    address is numeric, with a port. A descriptor that is handed over is the caller's to close: one
    end of a non-blocking socket pair, SOCK_STREAM for TCP, SOCK_SEQPACKET for UDP.
    """

    def __new__(
        cls, name: str, addresses: Sequence[tuple[str, int]], mtu: int, buffer: int
    ) -> Stack:
        """Start it: the interface's name, our addresses with the lengths of their networks, the
        largest packet, and the size of each of a stream's two buffers.
        """

    @property
    def tun(self) -> Tun:
        """What the plane serves."""

    def fileno(self) -> int:
        """An eventfd that is readable while events wait."""

    def events(self, limit: int = 64) -> list[StackEvent]:
        """Take up to `limit` events; the eventfd stays readable if more wait."""

    def connect(
        self, local: tuple[str, int] | None, remote: tuple[str, int], timeout: float, /
    ) -> int:
        """Connect by TCP: `Opened` or `Failed`, after `timeout` seconds with ETIMEDOUT."""

    def listen(self, local: tuple[str, int], backlog: int, /) -> int:
        """Listen for TCP connections: `Opened` or `Failed`, then `Acceptable`."""

    def accept(self, listener: int, /) -> tuple[int, tuple[str, int], tuple[str, int]] | None:
        """Take a connection: its descriptor, who connected, and to where. None: none waits."""

    def datagrams(self, local: tuple[str, int] | None, remote: tuple[str, int] | None, /) -> int:
        """Open a UDP port: `Opened` or `Failed`.

        A message of a port with `remote` is a datagram's payload. One without has the other's
        address before each payload, both ways: two bytes of port, then 16 of IPv6 (an IPv4 address
        is mapped into it).
        """

    def echo(self, to: str, /) -> int:
        """Send an ICMP echo request: `Echoed`, `Failed`, or nothing."""

    def cancel(self, request: int, /) -> None:
        """Give up what is not open yet, or a listener; what was accepted lives on.

        An event that is on its way may still come.
        """

    def counts(self) -> dict[str, int]:
        """Count packets and connections that went nowhere, by reason."""

    def close(self) -> None:
        """Reset every stream, close every port and what nobody has taken, end the thread.

        The Tun stays open for what is still on its way out; all else raises OSError from now on.
        """

@final
class Opened:
    """What was asked for is there: its descriptor, none for a listener, and its own address."""

    @property
    def id(self) -> int: ...
    @property
    def fd(self) -> int | None: ...
    @property
    def address(self) -> tuple[str, int]: ...

@final
class Failed:
    """It failed."""

    @property
    def id(self) -> int: ...
    @property
    def errno(self) -> int: ...

@final
class Acceptable:
    """A listener has connections, after it had none."""

    @property
    def id(self) -> int: ...

@final
class Echoed:
    """An echo came back."""

    @property
    def id(self) -> int: ...
    @property
    def nanoseconds(self) -> int: ...

@final
class Ended:
    """The stack has ended by itself: the interface is gone (EBADFD), or a fault (EIO)."""

    @property
    def errno(self) -> int: ...

StackEvent = Opened | Failed | Acceptable | Echoed | Ended

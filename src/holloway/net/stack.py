"""The seam between `Network` and what speaks TCP, UDP and ICMP inside the tunnel.

`kernel` has the kernel do it in a private namespace; `userspace` does it within the program. A
stack knows numeric addresses only; names, allowed IPs and streams are above it, in `network`.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from ipaddress import IPv4Interface, IPv6Interface
    from socket import socket as Socket  # noqa: N812  # within classes that have a `socket` method

    from holloway import _native

    Interface = IPv4Interface | IPv6Interface
    """An address of ours with the length of its network."""

    Address = tuple[str, int]
    """A numeric IPv4 or IPv6 address and a port."""

BUFFER: Final = 4 << 20
"""Each of a userspace stream's two buffers, in bytes; memory is taken for what they hold only."""
MIN_BUFFER: Final = 4096

AnyProtocol = TypeVar("AnyProtocol", bound="asyncio.DatagramProtocol")


def family_of(host: str) -> socket.AddressFamily:
    """The family of a numeric address."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class Listener(Protocol):
    """A listening TCP port."""

    @property
    def address(self) -> Address:
        """Where it listens; the port is the one chosen if 0 was asked for."""

    async def accept(self) -> tuple[Socket, Address]:
        """Wait for a connection: a non-blocking socket and who it is.

        Raises OSError once the listener or the stack is closed. Cancelling it loses no connection.
        """

    def close(self) -> None:
        """Stop listening; those waiting in `accept` get OSError, what was accepted lives on."""


class Stack(Protocol):
    """TCP/IP inside the tunnel. Made inside the event loop that is to use it.

    Each is made as `Kind(name, addresses, mtu)`: the interface's name, a tuple of `Interface`, and
    the tunnel's MTU; `await stack.open()` then does what may take time or fail.
    """

    @property
    def name(self) -> str:
        """`kernel` or `userspace`."""

    @property
    def tun(self) -> _native.Tun:
        """What the tunnel serves; there after `open`."""

    @property
    def died(self) -> asyncio.Future[OSError]:
        """Done when the stack has ended by itself, with the reason as its result."""

    async def open(self) -> None:
        """Start; raises OSError. What was begun is undone if it fails or is cancelled."""

    def socket(self, family: int, type: int, proto: int) -> Socket:  # noqa: A002
        """Make an ordinary, unconnected, blocking socket that lives inside the tunnel.

        The userspace stack has none: OSError(EOPNOTSUPP).
        """

    async def connect(
        self,
        address: Address,
        *,
        type: int,  # noqa: A002
        source: Address | None = None,
    ) -> Socket:
        """Connect a TCP (SOCK_STREAM) or UDP (SOCK_DGRAM) socket; it is non-blocking.

        Raises the ordinary OSErrors; TimeoutError when the stack gives up by itself.
        """

    async def listen(self, address: Address, *, backlog: int) -> Listener:
        """Listen for TCP connections; `0.0.0.0` and `::` are all our addresses of one family."""

    async def datagram_endpoint(
        self,
        factory: Callable[[], AnyProtocol],
        *,
        local: Address | None,
        remote: Address | None,
    ) -> tuple[asyncio.DatagramTransport, AnyProtocol]:
        """Open a UDP port as `loop.create_datagram_endpoint` does; one address is not None."""

    async def ping(self, address: str, timeout: float) -> float:
        """Send an ICMP echo request and return the seconds to its answer; TimeoutError."""

    async def close(self, reason: OSError) -> None:
        """End. Every socket of the stack fails with an error; connections are reset.

        The tunnel still serves `tun` while this runs, so that resets reach the other side; the
        caller closes tunnel and `tun` afterwards. May be called more than once.
        """

"""The interface between `Network` and a TCP/IP stack inside the tunnel.

`kernel` uses the kernel's stack, in a private namespace; `userspace` runs one within the program. A
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
    """One of our addresses, with its prefix length."""

    Address = tuple[str, int] | tuple[str, int, int, int]
    """A numeric address and a port; from sockets for IPv6 also flow information and scope."""

BUFFER: Final = 4 << 20
"""The size of each of a userspace stream's two buffers, in bytes; empty ones take no memory."""
MIN_BUFFER: Final = 4096

AnyProtocol = TypeVar("AnyProtocol", bound="asyncio.DatagramProtocol")


def family_of(host: str) -> socket.AddressFamily:
    """Return the family of a numeric address."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class Listener(Protocol):
    """A listening TCP port."""

    @property
    def address(self) -> Address:
        """The address that it listens on; the system chooses the port if 0 was asked for."""

    def accept_now(self) -> tuple[Socket, Address] | None:
        """Accept a connection if one waits. What fails fails again in `accept`."""

    async def accept(self) -> tuple[Socket, Address]:
        """Wait for a connection; returns a non-blocking socket and the client's address.

        Raises OSError once the listener or the stack is closed. Cancelling it loses no connection.
        """

    def close(self) -> None:
        """Stop listening; a waiting `accept` raises OSError, accepted connections stay open."""


class Stack(Protocol):
    """TCP/IP inside the tunnel. Make it inside the event loop that uses it.

    Each is made as `Kind(name, addresses, mtu)`: the interface's name, a tuple of `Interface`, and
    the tunnel's MTU. `await stack.open()` then does what may take time or fail.
    """

    @property
    def name(self) -> str:
        """`kernel` or `userspace`."""

    @property
    def tun(self) -> _native.Tun:
        """The TUN that the tunnel serves; set by `open`."""

    @property
    def died(self) -> asyncio.Future[OSError]:
        """Done when the stack has ended by itself, with the reason as its result."""

    async def open(self) -> None:
        """Start; raises OSError. Leaves nothing behind if it fails or is cancelled."""

    def socket(self, family: int, type: int, proto: int) -> Socket:  # noqa: A002
        """Make an ordinary, unconnected, blocking socket inside the tunnel; any thread may call it.

        The userspace stack has TCP and UDP: OSError(EPROTONOSUPPORT).
        """

    async def connect(
        self,
        address: Address,
        *,
        type: int,  # noqa: A002
        source: Address | None = None,
    ) -> Socket:
        """Connect a TCP (SOCK_STREAM) or UDP (SOCK_DGRAM) socket; it is non-blocking.

        Raises the ordinary OSErrors, and TimeoutError when the stack gives up.
        """

    def start_connecting(self, address: Address) -> Socket | None:
        """Return a TCP socket that is connecting; None where only `connect` can do that.

        SO_ERROR says how that ended, once the socket is writable. Raises OSError.
        """

    async def listen(self, address: Address, *, backlog: int, reuse_port: bool = False) -> Listener:
        """Listen for TCP connections; `0.0.0.0` and `::` are all our addresses of one family.

        The userspace stack has no `reuse_port`: ValueError.
        """

    async def datagram_socket(self, local: Address | None, remote: Address | None) -> Socket:
        """Return a non-blocking UDP socket; one address is not None."""

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
        """Close. Every socket of the stack fails with an error, and connections are reset.

        The tunnel still serves `tun` meanwhile, so that resets reach the other side; the caller
        closes tunnel and `tun` afterwards. May be called more than once.
        """

    def close_now(self, reason: OSError) -> None:
        """Like `close`, blocking: in the event loop's thread, or once the loop does not run."""

"""A TCP/IP stack inside the tunnel, as `Network` uses it, and what both kinds do alike.

`kernel` uses the kernel's stack, in a private namespace; `userspace` runs one within the program.
They differ in their sockets, and connect, listen and open UDP ports with them in the same way. A
stack knows numeric addresses only; names, allowed IPs and streams are above it, in `network`.
"""

from __future__ import annotations

import asyncio
import socket
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, TypeVar

from holloway.net import sockets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from ipaddress import IPv4Interface, IPv6Interface
    from socket import socket as Socket  # noqa: N812  # within classes that have a `socket` method

    from holloway import _native
    from holloway.device.tunnel import Tunnel

    Interface = IPv4Interface | IPv6Interface
    """One of our addresses, with its prefix length."""

    Address = tuple[str, int] | tuple[str, int, int, int]
    """A numeric address and a port; from sockets for IPv6 also flow information and scope."""

BUFFER: Final = 4 << 20
"""The size of each of a userspace stream's two buffers, in bytes; empty ones take no memory."""
MIN_BUFFER: Final = 4096

AnyProtocol = TypeVar("AnyProtocol", bound="asyncio.DatagramProtocol")


WILDCARDS: Final[dict[int, str]] = {
    socket.AF_INET: "0.0.0.0",  # noqa: S104
    socket.AF_INET6: "::",
}
"""The address of a family that is all of a host's."""


def family_of(host: str) -> socket.AddressFamily:
    """Return the family of a numeric address."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def wildcards(own: Iterable[str], family: int = 0) -> list[str]:
    """Return the wildcard address of each family of our addresses, or of the one asked for."""
    families = dict.fromkeys(map(family_of, own))
    return [WILDCARDS[each] for each in families if family in {0, each}]


class Stack(ABC):
    """TCP/IP inside the tunnel. Make it inside the event loop that uses it.

    Each is made as `Kind(name, addresses, mtu)`: the interface's name, a tuple of `Interface`, and
    the tunnel's MTU. `await stack.open()` then does what may take time or fail.
    """

    name: str
    """`kernel` or `userspace`."""
    tun: _native.Tun
    """The TUN that the tunnel serves; set by `open`."""
    died: asyncio.Future[OSError]
    """Done when the stack has ended by itself, with the reason as its result."""

    @abstractmethod
    async def open(self) -> None:
        """Start; raises OSError. Leaves nothing behind if it fails or is cancelled."""

    @abstractmethod
    def attach(self, tunnel: Tunnel, check: Callable[[str], object]) -> None:
        """Learn what serves `tun`; `check` raises OSError for an address that it cannot reach."""

    @abstractmethod
    def socket(self, family: int, type: int, proto: int) -> Socket:  # noqa: A002
        """Make an ordinary, unconnected, blocking socket inside the tunnel; any thread may call it.

        The userspace stack has TCP and UDP: OSError(EPROTONOSUPPORT).
        """

    @abstractmethod
    def start_connecting(self, address: Address) -> Socket | None:
        """Return a TCP socket that is connecting; None where only `connect` can do that.

        SO_ERROR says how that ended, once the socket is writable. Raises OSError.
        """

    @abstractmethod
    async def ping(self, address: str, timeout: float) -> float:
        """Send an ICMP echo request and return the seconds to its answer; TimeoutError."""

    @abstractmethod
    async def close(self, reason: OSError) -> None:
        """Close. Every socket of the stack fails with an error, and connections are reset.

        The tunnel still serves `tun` meanwhile, so that resets reach the other side; the caller
        closes tunnel and `tun` afterwards. May be called more than once.
        """

    @abstractmethod
    def close_now(self, reason: OSError) -> None:
        """Like `close`, blocking: in the event loop's thread, or once the loop does not run."""

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
        sock = self.socket(family_of(address[0]), type, 0)
        return await sockets.connect(sock, address, source=source)

    def listen(
        self, hosts: Iterable[str], port: int, *, backlog: int, reuse_port: bool = False
    ) -> list[sockets.Listener]:
        """Listen for TCP connections, on one port of all hosts; of all our addresses of one family
        on `0.0.0.0` or `::`.

        The userspace stack has no `reuse_port`: ValueError.
        """
        listening = sockets.listen(
            lambda host: self.socket(family_of(host), socket.SOCK_STREAM, 0),
            [(host, port) for host in hosts],
            backlog,
            reuse_port=reuse_port,
        )
        return [sockets.Listener(each, self._accepted) for each in listening]

    def _accepted(self, connection: Socket) -> None:  # noqa: B027  # a stack may need to know
        """Note an accepted connection."""

    async def datagram_endpoint(
        self,
        factory: Callable[[], AnyProtocol],
        *,
        local: Address | None,
        remote: Address | None,
    ) -> tuple[asyncio.DatagramTransport, AnyProtocol]:
        """Open a UDP port as `loop.create_datagram_endpoint` does; one address is not None."""
        sock = self.datagram_socket(local, remote)
        try:
            return await self._datagram_transport(factory, sock)
        except BaseException:
            sock.close()
            raise

    def datagram_socket(self, local: Address | None, remote: Address | None) -> Socket:
        """Return a non-blocking UDP socket; one address is not None."""
        address = local or remote
        assert address is not None
        sock = self.socket(family_of(address[0]), socket.SOCK_DGRAM, 0)
        try:
            sock.setblocking(False)
            if local is not None:
                sock.bind(local)
            if remote is not None:
                sock.connect(remote)
        except BaseException:
            sock.close()
            raise
        return sock

    async def _datagram_transport(
        self, factory: Callable[[], AnyProtocol], sock: Socket
    ) -> tuple[asyncio.DatagramTransport, AnyProtocol]:
        loop = asyncio.get_running_loop()
        return await loop.create_datagram_endpoint(factory, sock=sock)

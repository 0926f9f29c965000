"""The packet plane of one device, and of each of its peers."""

from typing import final

from holloway._native_types.change import AllowedIPsChange
from holloway._native_types.codec import State
from holloway._native_types.events import Event
from holloway._native_types.tun import Endpoint, Tun
from holloway.core.snapshot import DeviceSnapshot

__all__ = ["Due", "Peer", "Plane"]

@final
class Due:
    """What `Peer.due` collected. `next` is when to look again, None to wait for `DebtBegan`."""

    @property
    def keepalive(self) -> bool: ...
    @property
    def handshake(self) -> bool: ...
    @property
    def persistent(self) -> bool: ...
    @property
    def next(self) -> int | None: ...

@final
class Plane:
    """Moves packets between one TUN and UDP sockets, in a thread of its own."""

    def __new__(cls, tun: Tun) -> Plane: ...
    def fileno(self) -> int:
        """An eventfd that is readable while events wait."""

    def events(self, limit: int = 64) -> list[Event]:
        """Take up to `limit` events; the eventfd stays readable if more wait."""

    def bind(self, port: int, fwmark: int, /) -> int:
        """Open the UDP sockets on `port` (0: any) with `fwmark`, and return the port.

        IPv4 alone where the system has no IPv6. Raises OSError (EADDRINUSE, EPERM), and what was
        bound before then stays as it was. The same port keeps its sockets and changes the mark.
        """

    def unbind(self) -> None:
        """Close the UDP sockets."""

    def set_identity(self, public_key: bytes | None, /) -> None:
        """Say whose mac1 to accept; None accepts no handshake."""

    def set_mtu(self, mtu: int, /) -> None:
        """Say the interface's MTU, which bounds the padding."""

    def set_icmp_sockets(self, v4: int | None, v6: int | None, conntrack: int | None, /) -> None:
        """Answer packets that have nowhere to go with ICMP host unreachable.

        `v4` and `v6` are raw ICMP sockets, `conntrack` a non-blocking netlink socket
        (NETLINK_NETFILTER) that tells senders behind a translated address, all of the interface's
        network namespace. The descriptors stay the caller's. Without a socket: no answers.
        """

    def report_unreachable(self, wanted: bool, /) -> None:
        """Report `Unreachable` packets, or no longer."""

    def peer(self, public_key: bytes, /) -> Peer:
        """Add a peer."""

    def lookup_allowed_ip(self, address: bytes, /) -> int | None:
        """Return the id of the peer whose allowed IPs contain an inner address, or None.

        The longest prefix decides, as for packets. `address` has 4 or 16 bytes.
        """

    def sticky_sources(self) -> list[tuple[int, Endpoint]]:
        """Return the peers that are answered from the address they write to, and the path.

        Also those that no longer are, since `set_source_valid` said so. Not those whose endpoint
        has a scope, which is their interface whatever becomes of routes.
        """

    def set_source_valid(self, peer: int, path: Endpoint, valid: bool, /) -> None:
        """Say whether the route along a path leads out of the interface where packets came.

        If not, the kernel chooses the local address, until it leads there again.
        """

    def state(self, snapshot: DeviceSnapshot, /) -> State:
        """Complete the brain's half of the state with endpoints, allowed IPs and traffic."""

    def discards(self) -> dict[str, int]:
        """Count of packets not passed on, by reason; every reason is there."""

    def close(self) -> None:
        """Stop the thread, close the sockets, zero the keys. The Tun stays open."""

@final
class Peer:
    """One peer's part in the plane."""

    @property
    def id(self) -> int:
        """The number that events name; never used twice."""

    @property
    def endpoint(self) -> Endpoint | None: ...
    def set_endpoint(self, endpoint: Endpoint, /) -> None: ...
    def forget_source(self) -> None:
        """Let the kernel choose the local address anew."""

    def change_allowed_ips(self, change: AllowedIPsChange, /) -> None:
        """Change this peer's allowed IPs, all at once for the packets.

        What is added is taken from the peer that had it.
        """

    def allowed(self) -> list[tuple[bytes, int]]:
        """The networks this peer has, packed address and bits, in the order they came."""

    def traffic(self) -> tuple[int, int]:
        """Bytes received and sent, UDP payloads, handshakes included."""

    def discards(self) -> dict[str, int]:
        """Like `Plane.discards`, of packets known to be this peer's; only reasons that occurred."""

    def handshake_received(self, remote: Endpoint, size: int, now: int, /) -> None:
        """Account for an authenticated handshake message: roam to `remote`, count, settle debts."""

    def send_handshake(self, message: bytes, now: int, /) -> None:
        """Add mac1 and mac2 to a bare Noise message and send it to the endpoint.

        An initiation's sender index becomes the one whose response the cookie checker lets in. A
        failure to send is counted; the brain's timers retry.
        """

    def send_keepalive(self) -> None:
        """Send what is staged, or an empty packet if nothing is."""

    def install(
        self,
        local_index: int,
        remote_index: int,
        send_key: bytes,
        receive_key: bytes,
        *,
        confirmed: bool,
        renew_on_send: int,
        renew_on_receive: int,
        reject: int,
    ) -> None:
        """Put a new session in place: current if `confirmed` (initiator), else next (responder).

        Older sessions move as in the kernel's noise.c, add_new_keypair. A session unconfirmed
        becomes current with the first packet received under it, and `Confirmed` tells.
        A confirmed one sends what is staged, or an empty packet that tells the responder.
        """

    def due(self, now: int, keepalive: int, handshake: int, persistent: int, /) -> Due:
        """Collect and clear what is due, and say when to look again.

        `keepalive`: data came that long ago and nothing went back; `handshake`: data went out that
        long ago and nothing came back; `persistent`: nothing went either way that long (0: off).
        While no data is unanswered `DebtBegan` is armed.
        """

    def arm_session_needed(self) -> None:
        """Arm `SessionNeeded`: the next packet with no session, or one to renew, pushes it."""

    def drop_staged(self) -> None: ...
    def erase(self) -> None:
        """Zero and forget every session and what the handshake awaited."""

    def remove(self) -> None:
        """Erase, drop what is staged, and leave every table. The object is dead after this."""

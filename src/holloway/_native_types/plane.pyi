"""The packet plane of one device and of its peers."""

from typing import final

from holloway._native_types.change import AllowedIPsChange
from holloway._native_types.codec import State
from holloway._native_types.events import Event
from holloway._native_types.noise import SessionKeys
from holloway._native_types.tun import Endpoint, Tun
from holloway.core.snapshot import DeviceSnapshot

__all__ = ["Due", "Peer", "Plane"]

@final
class Due:
    """The result of `Peer.due`. `next` is when to call it again; None: wait for `DebtBegan`."""

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
    """Moves packets between one TUN and UDP sockets, in threads of its own."""

    def __new__(cls, tun: Tun) -> Plane: ...
    def fileno(self) -> int:
        """An eventfd that is readable while events wait."""

    def events(self, limit: int = 64) -> list[Event]:
        """Take up to `limit` events; the eventfd stays readable if more wait."""

    def bind(self, port: int, fwmark: int, /) -> int:
        """Open the UDP sockets on `port` (0: any) with `fwmark`, and return the port.

        Opens only IPv4 on a system without IPv6. If this raises OSError (EADDRINUSE, EPERM), the
        earlier sockets stay as they were. If the port is the same, only the mark changes.
        """

    def unbind(self) -> None:
        """Close the UDP sockets."""

    def set_identity(self, public_key: bytes | None, /) -> None:
        """Set the public key whose mac1 is accepted; None accepts no handshake message."""

    def set_mtu(self, mtu: int, /) -> None:
        """Set the interface's MTU, which limits the padding."""

    def set_icmp_sockets(self, v4: int | None, v6: int | None, conntrack: int | None, /) -> None:
        """Answer packets that cannot be sent with ICMP host unreachable.

        `v4` and `v6` are raw ICMP sockets. `conntrack` is a non-blocking netlink socket
        (NETLINK_NETFILTER) that looks up senders behind address translation. All belong to the
        interface's network namespace. The caller keeps its descriptors. Without a socket, no
        answers are sent.
        """

    def report_unreachable(self, wanted: bool, /) -> None:
        """Start or stop reporting `Unreachable`."""

    def peer(self, public_key: bytes, /) -> Peer:
        """Add a peer, and a shard for it if there can be another one: a queue of the TUN each."""

    def uses_index(self, index: int, /) -> bool:
        """Return whether a session, or an initiation that awaits its response, has this index."""

    def lookup_allowed_ip(self, address: bytes, /) -> int | None:
        """Return the id of the peer whose allowed IPs contain an inner address, or None.

        The longest prefix decides, as for packets. `address` has 4 or 16 bytes.
        """

    def sticky_sources(self) -> list[tuple[int, Endpoint]]:
        """Return the peers that are answered from the address to which they send, with the path.

        The list includes peers for which `set_source_valid` has turned this off. It excludes
        endpoints with a scope, which determines their interface whatever the routes are.
        """

    def set_source_valid(self, peer: int, path: Endpoint, valid: bool, /) -> None:
        """Set whether the route back along a path uses the interface where the packets arrived.

        While it does not, the kernel chooses the local address.
        """

    def state(self, snapshot: DeviceSnapshot, /) -> State:
        """Return the brain's half of the state, with endpoints, allowed IPs and traffic added."""

    def discards(self) -> dict[str, int]:
        """Count the discarded packets by reason, with every reason."""

    def close(self) -> None:
        """Stop the threads, close the sockets, zero the keys. The `Tun` stays open."""

@final
class Peer:
    """One peer in the plane."""

    @property
    def id(self) -> int:
        """The number of this peer in events; no other peer ever gets it."""

    @property
    def endpoint(self) -> Endpoint | None: ...
    def set_endpoint(self, endpoint: Endpoint, /) -> None: ...
    def forget_source(self) -> None:
        """Let the kernel choose the local address again."""

    def change_allowed_ips(self, change: AllowedIPsChange, /) -> None:
        """Change this peer's allowed IPs, atomically as packets see it.

        Any other peer that had an added one loses it.
        """

    def allowed(self) -> list[tuple[bytes, int]]:
        """Return this peer's allowed IPs in the order of addition: packed address and length."""

    def traffic(self) -> tuple[int, int]:
        """Return the bytes received and sent in UDP payloads, handshakes included."""

    def discards(self) -> dict[str, int]:
        """Count this peer's discarded packets by reason, with only the reasons that occurred."""

    def handshake_received(self, remote: Endpoint, size: int, now: int, /) -> None:
        """Process an authenticated handshake message: roam to `remote`, count, settle debts."""

    def send_handshake(self, message: bytes, now: int, /) -> None:
        """Add mac1 and mac2 to a Noise message and send it to the endpoint.

        After an initiation, the cookie checker accepts a response to its sender index, and to no
        earlier one of this peer. A failure to send is counted; the brain's timers retry.
        """

    def steer_index(self, index: int, /) -> int:
        """Return `index` with the low byte that brings a new session to a shard.

        That of the current session, if there is one and no other shard is much less busy.
        """

    def send_keepalive(self) -> None:
        """Send the staged packets, or an empty packet if there are none."""

    def install(
        self,
        keys: SessionKeys,
        /,
        *,
        confirmed: bool,
        renew_on_send: int,
        renew_on_receive: int,
        reject: int,
    ) -> None:
        """Install a new session as current if `confirmed` (initiator), else as next (responder).

        Older sessions move as in the kernel's noise.c, add_new_keypair. The first packet received
        under an unconfirmed session makes it current and pushes `Confirmed`. Under a confirmed one
        the staged packets are sent, or an empty packet, which confirms it to the responder.
        """

    def due(self, now: int, keepalive: int, handshake: int, persistent: int, /) -> Due:
        """Collect and clear what is due, and return it with the time of the next call.

        A keepalive is due `keepalive` after received data that we have not answered, a handshake
        `handshake` after sent data that got no answer, and a persistent keepalive `persistent` (0:
        never) after the last packet in either direction. If no debt stays open, this arms
        `DebtBegan`.
        """

    def arm_session_needed(self) -> None:
        """Arm `SessionNeeded`: the next packet that needs a new session pushes it."""

    def drop_staged(self) -> None: ...
    def erase(self) -> None:
        """Zero and forget every session, and accept no response to an earlier initiation."""

    def remove(self) -> None:
        """Erase, drop the staged packets, and leave every table. Do not use the object again."""

"""The packet plane: TUN, UDP, transport encryption, allowed IPs, mac1, mac2 and cookies.
And the codec of texts: `State` and `Update`.

The border between brain and plane. Packet bytes never cross it towards Python; Noise never crosses
it towards Rust, and a private key only as a word of a text. Integers named `now`, `reject`,
`renew_*` and `next` are nanoseconds on CLOCK_BOOTTIME. Every class is frozen and may be used from
any thread.
"""

from collections.abc import Sequence
from typing import Protocol, final

__all__ = [
    "Acceptable",
    "Changes",
    "Confirmed",
    "DebtBegan",
    "Died",
    "Due",
    "Echoed",
    "Ended",
    "Endpoint",
    "Event",
    "Failed",
    "Handshake",
    "Opened",
    "Peer",
    "Plane",
    "Refused",
    "Relay",
    "RelayPair",
    "SendFailing",
    "SessionNeeded",
    "Stack",
    "StackEvent",
    "State",
    "Tun",
    "Unreachable",
    "Update",
    "blank_line",
    "dump_answer",
    "public_key",
    "read_endpoint",
    "read_fwmark",
    "read_keepalive",
    "read_port",
]

@final
class Endpoint:
    """A peer's UDP address. One that came with a packet also holds the local address it came to."""

    def __new__(cls, host: str, port: int) -> Endpoint:
        """Make one from a numeric address (`fe80::1%eth0` and `fe80::1%2` too).

        Raises ValueError if `host` is no address or its interface is unknown.
        """

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def local(self) -> str | None:
        """The local address that packets leave from, None where the kernel chooses."""

    @property
    def interface(self) -> int | None:
        """The number of the interface where packets came to that address."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Tun:
    """A TUN interface with vnet_hdr and, where the kernel has them, TSO and USO offloads."""

    def __new__(cls, name: str, mtu: int = 1420) -> Tun:
        """Create the interface, or attach to a persistent one, and set its MTU (OSError)."""

    @staticmethod
    def from_fd(fd: int) -> Tun:
        """Take over an open TUN file descriptor; the kernel is asked whether it has a vnet_hdr."""

    @property
    def name(self) -> str:
        """The interface's name as the kernel has it now."""

    @property
    def offloads(self) -> tuple[str, ...]:
        """Which of "vnet_hdr", "tso", "uso" are on."""

    def fileno(self) -> int:
        """The file descriptor, for ioctls; the plane reads and writes it."""

    def close(self) -> None: ...

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
    def endpoint(self, host: str, port: int, /) -> Endpoint:
        """Make an `Endpoint`; here so that the brain needs no import of this module."""

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

    def sticky_sources(self) -> list[tuple[int, Endpoint]]:
        """Return the peers that are answered from the address they write to, and the path.

        Also those that no longer are, since `set_source_valid` said so. Not those whose endpoint
        has a scope, which is their interface whatever becomes of routes.
        """

    def set_source_valid(self, peer: int, path: Endpoint, valid: bool, /) -> None:
        """Say whether the route along a path leads out of the interface where packets came.

        If not, the kernel chooses the local address, until it leads there again.
        """

    def answer(
        self,
        private_key: bytes | None,
        listen_port: int,
        fwmark: int,
        peers: list[tuple[int, bytes, bytes, int, int]],
        /,
    ) -> bytes:
        """Write the device's whole answer to `get=1`.

        Of each peer the brain tells its number in events, public key, preshared key (zeros for
        none), time of the latest handshake (nanoseconds since 1970) and keepalive; its endpoint,
        traffic and networks are the plane's.
        """

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

    def route(self, changes: bytes, /) -> None:
        """Route networks of inner addresses to this peer, each taken from the one that had it.

        All changes at once, packed as `holloway.core.orders.pack` does (ValueError otherwise).
        Networks that are replaced by themselves cost a look.
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

@final
class Relay:
    """A thread that copies between pairs of stream sockets, of any family and namespace.

    Each way ends by itself (half-close); a pair whose one side breaks is reset on the other. What
    is not taken stays in the source's own buffer.
    """

    def __new__(cls) -> Relay: ...
    def fileno(self) -> int:
        """An eventfd, readable while `ends` has something."""

    def join(self, first: int, second: int, /, limit: int | None = None) -> RelayPair:
        """Copy between the sockets of two descriptors; the caller closes its own two.

        With `limit`, so many bytes go from the first to the second at most, which is not told of an
        end after them; what the first says beyond is read and dropped. Raises OSError.
        """

    def abort(self, id: int, /) -> None:  # noqa: A002
        """Reset both sides of a pair."""

    def ends(self) -> list[tuple[int, int | None, int]]:
        """The pairs that ended since the last call: id, side to blame (0 or 1), errno.

        errno is 0 where both sides had said all; ECONNABORTED after `abort` and `close`.
        """

    def moved(self) -> tuple[int, int]:
        """Bytes from first sockets to second ones, and back, over all pairs up to now."""

    def close(self) -> None:
        """Reset all pairs and end the thread; `ends` still tells of them."""

@final
class RelayPair:
    """A pair that was joined."""

    @property
    def id(self) -> int: ...
    def moved(self) -> tuple[int, int]:
        """Bytes from the first socket to the second, and back, up to now."""

class Refused(ValueError):
    """A text was refused whole.

    `args` are whether it is of another language at all, the line from 1 and the key if there are
    any, and the reason; key and reason are bytes, as they may repeat what is no text.
    """

    args: tuple[bool, int | None, bytes | None, bytes]

class _Resolver(Protocol):
    """`holloway.text.values.Resolver`."""

    def port(self, service: str) -> int: ...
    def endpoint(self, host: str, service: str, text: str) -> _ResolvedEndpoint: ...
    def warn(self, sentence: str) -> None: ...

class _ResolvedEndpoint(Protocol):
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...

_Network = tuple[bytes, int]
_Endpoint = tuple[str, int]

# Public key, remove, update only, preshared key, endpoint, keepalive, replace allowed IPs, removed
# and added ones.
_PeerUpdate = tuple[
    bytes,
    bool,
    bool,
    bytes | None,
    _Endpoint | None,
    int | None,
    bool,
    Sequence[_Network],
    Sequence[_Network],
]
_Orders = tuple[
    bytes | None,
    int | None,
    int | None,
    bool,
    list[tuple[bytes, bool, bool, bytes | None, Endpoint | None, int | None, bytes | None]],
]

# Public key, preshared key, endpoint, allowed IPs, seconds and nanoseconds of the latest handshake,
# bytes received and sent, keepalive, protocol version.
_PeerState = tuple[
    bytes, bytes | None, _Endpoint | None, Sequence[_Network], int, int, int, int, int, int
]

@final
class Update:
    """What to change of a device: `holloway.model.DeviceUpdate`, however many peers it names."""

    def __new__(
        cls,
        private_key: bytes | None,
        listen_port: int | None,
        fwmark: int | None,
        replace_peers: bool,
        peers: Sequence[_PeerUpdate],
        /,
    ) -> Update: ...
    def parts(self) -> tuple[bytes | None, int | None, int | None, bool, list[_PeerUpdate]]:
        """What it was made from."""

    @staticmethod
    def read_request(body: bytes, /) -> Update:
        """Read the lines between `set=1` and the blank line, each with its end (`Refused`)."""

    @staticmethod
    def read_configuration(
        source: bytes | list[tuple[int, bytes]],
        resolver: _Resolver,
        /,
        *,
        append: bool,
        numeric: bool,
    ) -> Update:
        """Read a file of wg(8), or lines with their numbers (`Refused`, or what `resolver` raises).

        With `numeric`, addresses and ports in numbers are not brought before the resolver.
        """

    @property
    def names_peers(self) -> bool: ...
    def since(self, state: State, /) -> Update:
        """Take out what would disturb the peers that stay (`wg syncconf`)."""

    def request(self) -> bytes:
        """Write the whole `set=1` transaction, with the blank line that ends it."""

    def orders(self) -> _Orders:
        """Return what `holloway.core` takes (`Refused` if an endpoint's interface is unknown)."""

@final
class State:
    """A device as it shows itself: `holloway.model.Device`, however many peers it has."""

    def __new__(
        cls,
        private_key: bytes | None,
        listen_port: int,
        fwmark: int,
        peers: Sequence[_PeerState],
        /,
    ) -> State: ...
    def parts(self) -> tuple[bytes | None, int, int, list[_PeerState]]:
        """What it was made from."""

    @staticmethod
    def read(answer: bytes, /) -> State:
        """Read an answer to `get=1` up to its first blank line (`Refused`)."""

    def answer(self) -> bytes:
        """Write that answer, without the errno line that ends it."""

    def dump(self, prefix: bytes, /) -> bytes:
        """Print what `wg show INTERFACE dump` does; `prefix` goes before each line."""

@final
class Changes:
    """What becomes of a peer's allowed IPs, collected in the order in which it is written."""

    def __new__(cls) -> Changes: ...
    def read(self, text: bytes, resolver: _Resolver, /) -> None:
        """Read networks joined by commas, or none from no text (`Refused`).

        Together they replace what there is; with `+` or `-` before any of them they add and take
        away, as wg(8) after 2021 has it.
        """

    def result(self) -> tuple[bool, Sequence[_Network], Sequence[_Network]]:
        """Whether all are removed first, what is taken away then, and what is added at last."""

def read_fwmark(text: bytes, /) -> int:
    """Read a firewall mark: decimal, `0x` and hexadecimal, or `off` (`Refused`)."""

def read_keepalive(text: bytes, /) -> int:
    """Read a persistent keepalive interval: seconds or `off` (`Refused`)."""

def read_port(text: bytes, resolver: _Resolver, /) -> int:
    """Read a listening port (`Refused`, or what `resolver` raises)."""

def read_endpoint(text: bytes, resolver: _Resolver, /) -> _Endpoint:
    """Read an endpoint, `host:port` or `[host]:port` (`Refused`, or what `resolver` raises)."""

def blank_line(text: bytes, /) -> int | None:
    """Find the first blank line, faster than Python among so many short lines."""

def dump_answer(answer: bytes, prefix: bytes, /) -> bytes:
    """Print what `State.read(answer).dump(prefix)` does, without a `State` between (`Refused`)."""

def public_key(private_key: bytes, /) -> bytes:
    """Derive a public key (X25519, RFC 7748)."""

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

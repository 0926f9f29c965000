"""The state of a device (`Device`, `Peer`) and its changes (`DeviceUpdate`, `PeerUpdate`).

Configuration files, the command line, the UAPI and our own daemon convert to and from these types,
which depend on no text format, socket or clock.
"""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from dataclasses import dataclass
from typing import Final, NamedTuple

from holloway.key import Key

IPV4_LENGTH: Final = 4
IPV6_LENGTH: Final = 16
MAX_PORT: Final = 0xFFFF
PORT_DIGITS: Final = 5
SECOND: Final = 1_000_000_000  # nanoseconds


class AllowedIP(NamedTuple):
    """A network of inner addresses that belongs to a peer: `address` packed, host bits zero.

    It is a tuple and not a dataclass, because there are many: a tuple takes a third of the time to
    create and to compare.
    """

    address: bytes
    cidr: int

    @classmethod
    def parse(cls, text: str) -> AllowedIP:
        """Read `10.0.0.0/8`, `fd00::/64` or a bare address; raises ValueError.

        Bits beyond the prefix length are cleared, as wg(8) and the kernel do.
        """
        host, slash, length = text.partition("/")
        try:
            packed = inet_pton(AF_INET6 if ":" in host else AF_INET, host)
        except (OSError, ValueError):
            raise ValueError(f"not an IP address: {host!r}") from None
        bits = len(packed) * 8
        if not slash:
            return cls(packed, bits)
        if not (length.isascii() and length.isdigit()) or int(length) > bits:
            raise ValueError(f"not a prefix length from 0 to {bits}: {length!r}")
        return cls.masked(packed, int(length))

    @classmethod
    def masked(cls, address: bytes, cidr: int) -> AllowedIP:
        """Build from a packed address, with the bits beyond `cidr` cleared."""
        number = int.from_bytes(address, "big")
        beyond = number & ((1 << (len(address) * 8 - cidr)) - 1)
        if beyond:
            address = (number - beyond).to_bytes(len(address), "big")
        return cls(address, cidr)

    @property
    def version(self) -> int:
        """4 or 6."""
        return 4 if len(self.address) == IPV4_LENGTH else 6

    @property
    def host(self) -> str:
        """The address without its prefix length."""
        return inet_ntop(AF_INET if len(self.address) == IPV4_LENGTH else AF_INET6, self.address)

    def __str__(self) -> str:
        return f"{self.host}/{self.cidr}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The UDP address of a peer: a numeric address (also `fe80::1%eth0`) and a port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Read `192.0.2.1:51820` or `[fe80::1%eth0]:51820`, never a name; raises ValueError."""
        host, _, port = text.rpartition(":")
        if not (port.isascii() and port.isdigit()):
            raise ValueError(f"not an endpoint: {text!r}")
        if len(port) > PORT_DIGITS or int(port) > MAX_PORT:
            raise ValueError(f"not a port from 0 to {MAX_PORT}: {port!r}")
        try:
            if host.startswith("[") and host.endswith("]"):
                return cls(_host6(host[1:-1]), int(port))
            inet_pton(AF_INET, host)  # accepts only one spelling of each address
            return cls(host, int(port))
        except (OSError, ValueError):
            raise ValueError(f"not an endpoint: {text!r}") from None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer as a device reports it.

    `latest_handshake` is wall time in nanoseconds since 1970, 0 for never; `rx_bytes` and
    `tx_bytes` count UDP payloads; `persistent_keepalive` is in seconds, 0 for off.
    """

    public_key: Key
    preshared_key: Key | None = None
    endpoint: Endpoint | None = None
    allowed_ips: tuple[AllowedIP, ...] = ()
    latest_handshake: int = 0
    rx_bytes: int = 0
    tx_bytes: int = 0
    persistent_keepalive: int = 0
    protocol_version: int = 1


@dataclass(frozen=True, slots=True)
class Device:
    """A device as it reports itself.

    `listen_port` 0 means that no port is chosen, `fwmark` 0 means off. `listen_error` is the errno
    because of which the interface is up without its port, or 0.
    """

    name: str
    private_key: Key | None = None
    listen_port: int = 0
    fwmark: int = 0
    peers: tuple[Peer, ...] = ()
    listen_error: int = 0

    @property
    def public_key(self) -> Key | None:
        """The public key that peers know this device by, None without a private key."""
        return None if self.private_key is None else self.private_key.public()


@dataclass(frozen=True, slots=True)
class PeerUpdate:
    """The changes of one peer; None leaves a setting as it is.

    `preshared_key=Key.ZERO` removes the preshared key. Changes of the allowed IPs apply in this
    order: `replace_allowed_ips` removes all, then `removed_allowed_ips` are removed, then
    `allowed_ips` are added, and any other peer that had one loses it. With `update_only` nothing
    changes if the peer does not exist; `remove` removes the peer.
    """

    public_key: Key
    remove: bool = False
    update_only: bool = False
    preshared_key: Key | None = None
    endpoint: Endpoint | None = None
    persistent_keepalive: int | None = None
    replace_allowed_ips: bool = False
    removed_allowed_ips: tuple[AllowedIP, ...] = ()
    allowed_ips: tuple[AllowedIP, ...] = ()


@dataclass(frozen=True, slots=True)
class DeviceUpdate:
    """The changes of a device; None leaves a setting as it is.

    `private_key=Key.ZERO` removes the private key, `fwmark=0` turns the mark off, and
    `listen_port=0` chooses a new port. `replace_peers` removes all peers first; then `peers` apply
    in their order.
    """

    private_key: Key | None = None
    listen_port: int | None = None
    fwmark: int | None = None
    replace_peers: bool = False
    peers: tuple[PeerUpdate, ...] = ()


def _host6(text: str) -> str:
    """Return an IPv6 address as the system writes it, with its zone; OSError or ValueError."""
    address, percent, zone = text.partition("%")
    if percent and (not zone.isprintable() or not zone or any(c in zone for c in " %]/")):
        raise ValueError(text)
    return inet_ntop(AF_INET6, inet_pton(AF_INET6, address)) + percent + zone

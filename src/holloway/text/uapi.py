"""The UAPI, the text that a WireGuard device speaks over its socket: both directions, pure.

A daemon reads with `parse_set` and answers with `dump_get`; a client asks with `dump_set` and
reads with `parse_get`. `errno=` lines and the socket are the business of whoever calls.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from typing import Final

from holloway.errors import ConfigError, KeyFormatError
from holloway.key import Key
from holloway.model import AllowedIP, Device, DeviceUpdate, Endpoint, Peer, PeerUpdate
from holloway.text.values import MAX_FWMARK, MAX_KEEPALIVE, AllowedIPChanges, decimal

MAX_PORT: Final = 0xFFFF
MAX_SECONDS: Final = 2**63 - 1
MAX_COUNT: Final = 2**64 - 1
SECOND: Final = 1_000_000_000

Read = Callable[[str, str], None]
"""Takes a key and its value; a bad value is a ValueError."""


class UapiError(ConfigError):
    """A text of the UAPI that was refused whole; `errno` is positive."""

    def __init__(
        self, number: int, reason: str, *, key: str | None = None, line: int | None = None
    ) -> None:
        super().__init__(reason, key=key, line=line)
        self.errno = number


def dump_get(device: Device) -> str:
    """Write a device's answer to `get=1`, without the errno line that ends it."""
    lines = []
    if device.private_key:
        lines.append(f"private_key={device.private_key.hex}")
    lines.append(f"listen_port={device.listen_port}")
    if device.fwmark:
        lines.append(f"fwmark={device.fwmark}")
    for peer in device.peers:
        seconds, nanoseconds = divmod(peer.latest_handshake, SECOND)
        psk = _NO_KEY if peer.preshared_key is None else peer.preshared_key.hex
        endpoint = "" if peer.endpoint is None else f"endpoint={peer.endpoint}\n"
        lines.append(
            f"public_key={peer.public_key.hex}\npreshared_key={psk}\n"
            f"protocol_version={peer.protocol_version}\n{endpoint}"
            f"last_handshake_time_sec={seconds}\nlast_handshake_time_nsec={nanoseconds}\n"
            f"tx_bytes={peer.tx_bytes}\nrx_bytes={peer.rx_bytes}\n"
            f"persistent_keepalive_interval={peer.persistent_keepalive}"
        )
        lines += [f"allowed_ip={network}" for network in peer.allowed_ips]
    return "\n".join(lines) + "\n"


def dump_set(update: DeviceUpdate) -> str:
    """Write the whole `set=1` transaction, with the blank line that ends it."""
    lines = ["set=1"]
    if update.private_key is not None:
        lines.append(f"private_key={update.private_key.hex}")
    if update.listen_port is not None:
        lines.append(f"listen_port={update.listen_port}")
    if update.fwmark is not None:
        lines.append(f"fwmark={update.fwmark}")
    if update.replace_peers:
        lines.append("replace_peers=true")
    for peer in update.peers:
        lines.append(f"public_key={peer.public_key.hex}")
        if peer.update_only:
            lines.append("update_only=true")
        if peer.remove:
            lines.append("remove=true")
        else:
            lines += _dump_peer_update(peer)
    return "\n".join(lines) + "\n\n"


def _dump_peer_update(peer: PeerUpdate) -> list[str]:
    lines = []
    if peer.preshared_key is not None:
        lines.append(f"preshared_key={peer.preshared_key.hex}")
    if peer.endpoint is not None:
        lines.append(f"endpoint={peer.endpoint}")
    if peer.persistent_keepalive is not None:
        lines.append(f"persistent_keepalive_interval={peer.persistent_keepalive}")
    if peer.replace_allowed_ips:
        lines.append("replace_allowed_ips=true")
    lines += [f"allowed_ip=-{network}" for network in peer.removed_allowed_ips]
    lines += [f"allowed_ip={network}" for network in peer.allowed_ips]
    return lines


def parse_set(lines: Iterable[str]) -> DeviceUpdate:
    """Read the lines between `set=1` and the blank line; raises `UapiError`."""
    device = _SetReader()
    read: Read = device.read
    for number, line in enumerate(lines, 1):
        key, equals, value = line.partition("=")
        if not equals:
            raise UapiError(errno.EPROTO, "no `=' in the line", line=number)
        try:
            if key == "public_key":
                read = device.add_peer(value)
            else:
                read(key, value)
        except ValueError as error:
            raise UapiError(errno.EINVAL, str(error), key=key, line=number) from None
    return device.result()


class _SetReader:
    """Collects device and peers while the lines go by; a bad value is a ValueError."""

    def __init__(self) -> None:
        self.private_key: Key | None = None
        self.listen_port: int | None = None
        self.fwmark: int | None = None
        self.replace_peers = False
        self.peers: list[_PeerSetReader] = []

    def add_peer(self, public_key: str) -> Read:
        """Begin a peer; returns what reads its lines."""
        peer = _PeerSetReader(_key(public_key))
        self.peers.append(peer)
        return peer.read

    def read(self, key: str, value: str) -> None:
        match key:
            case "private_key":
                self.private_key = _key(value)
            case "listen_port":
                self.listen_port = _number(value, MAX_PORT)
            case "fwmark":
                self.fwmark = _number(value, MAX_FWMARK)
            case "replace_peers":
                self.replace_peers = _true(value)
            case _:
                raise ValueError("not a setting of a device")

    def result(self) -> DeviceUpdate:
        return DeviceUpdate(
            private_key=self.private_key,
            listen_port=self.listen_port,
            fwmark=self.fwmark,
            replace_peers=self.replace_peers,
            peers=tuple([peer.result() for peer in self.peers]),
        )


class _PeerSetReader:
    """Collects the settings after one `public_key`."""

    __slots__ = (
        "allowed_ips",
        "endpoint",
        "keepalive",
        "preshared_key",
        "public_key",
        "remove",
        "update_only",
    )

    def __init__(self, public_key: Key) -> None:
        self.public_key = public_key
        self.remove = False
        self.update_only = False
        self.preshared_key: Key | None = None
        self.endpoint: Endpoint | None = None
        self.keepalive: int | None = None
        self.allowed_ips = AllowedIPChanges()

    def read(self, key: str, value: str) -> None:
        match key:
            case "allowed_ip":
                self._allowed_ip(value)
            case "endpoint":
                self.endpoint = Endpoint.parse(value)
            case "persistent_keepalive_interval":
                self.keepalive = _number(value, MAX_KEEPALIVE)
            case "preshared_key":
                self.preshared_key = _key(value)
            case "replace_allowed_ips":
                _true(value)
                self.allowed_ips.clear()
            case "protocol_version":
                if value != "1":
                    raise ValueError("not protocol version 1")
            case "remove":
                self.remove = _true(value)
            case "update_only":
                self.update_only = _true(value)
            case _:
                raise ValueError("not a setting of a peer")

    def _allowed_ip(self, value: str) -> None:
        network = AllowedIP.parse(value.removeprefix("-"))
        if value.startswith("-"):
            self.allowed_ips.remove(network)
        else:
            self.allowed_ips.add(network)

    def result(self) -> PeerUpdate:
        return PeerUpdate(
            public_key=self.public_key,
            remove=self.remove,
            update_only=self.update_only,
            preshared_key=self.preshared_key,
            endpoint=self.endpoint,
            persistent_keepalive=self.keepalive,
            replace_allowed_ips=self.allowed_ips.replace,
            removed_allowed_ips=self.allowed_ips.removed(),
            allowed_ips=self.allowed_ips.added(),
        )


def parse_get(text: str, name: str = "") -> Device:
    """Read a device's answer, called `name`; unknown keys are passed over, as wg(8) does.

    Raises `UapiError`, always EPROTO: the fault is the device's.
    """
    device = _GetReader()
    read: Read = device.read
    for number, line in enumerate(text.split("\n"), 1):
        if not line:
            break
        key, equals, value = line.partition("=")
        if not equals:
            raise UapiError(errno.EPROTO, "no `=' in the line", line=number)
        try:
            if key == "public_key":
                read = device.add_peer(value)
            else:
                read(key, value)
        except ValueError as error:
            raise UapiError(errno.EPROTO, str(error), key=key, line=number) from None
    return device.result(name)


class _GetReader:
    """Collects a device while its answer goes by; a bad value is a ValueError."""

    def __init__(self) -> None:
        self.private_key: Key | None = None
        self.listen_port = 0
        self.fwmark = 0
        self.peers: list[_PeerGetReader] = []

    def add_peer(self, public_key: str) -> Read:
        """Begin a peer; returns what reads its lines."""
        peer = _PeerGetReader(_key(public_key))
        self.peers.append(peer)
        return peer.read

    def read(self, key: str, value: str) -> None:
        match key:
            case "private_key":
                self.private_key = _key(value)
            case "listen_port":
                self.listen_port = _number(value, MAX_PORT)
            case "fwmark":
                self.fwmark = _number(value, MAX_FWMARK)

    def result(self, name: str) -> Device:
        peers = tuple([peer.result() for peer in self.peers])
        return Device(name, self.private_key, self.listen_port, self.fwmark, peers)


class _PeerGetReader:
    """Collects one peer of an answer."""

    __slots__ = (
        "allowed_ips",
        "endpoint",
        "keepalive",
        "nanoseconds",
        "preshared_key",
        "public_key",
        "rx_bytes",
        "seconds",
        "tx_bytes",
        "version",
    )

    def __init__(self, public_key: Key) -> None:
        self.public_key = public_key
        self.preshared_key: Key | None = None
        self.endpoint: Endpoint | None = None
        self.allowed_ips: list[AllowedIP] = []
        self.seconds = self.nanoseconds = self.rx_bytes = self.tx_bytes = self.keepalive = 0
        self.version = 1

    def read(self, key: str, value: str) -> None:
        match key:
            case "allowed_ip":
                if "/" not in value:
                    raise ValueError("no prefix length")
                self.allowed_ips.append(AllowedIP.parse(value))
            case "endpoint":
                self.endpoint = Endpoint.parse(value)
            case "preshared_key":
                self.preshared_key = None if value == _NO_KEY else _key(value)
            case "protocol_version":
                self.version = _number(value, MAX_FWMARK)
            case _ if value == "0":
                pass  # what the counts begin with; most are
            case "last_handshake_time_sec":
                self.seconds = _number(value, MAX_SECONDS)
            case "last_handshake_time_nsec":
                self.nanoseconds = _number(value, MAX_SECONDS)
            case "tx_bytes":
                self.tx_bytes = _number(value, MAX_COUNT)
            case "rx_bytes":
                self.rx_bytes = _number(value, MAX_COUNT)
            case "persistent_keepalive_interval":
                self.keepalive = _number(value, MAX_KEEPALIVE)

    def result(self) -> Peer:
        return Peer(
            self.public_key,
            self.preshared_key,
            self.endpoint,
            tuple(self.allowed_ips),
            self.seconds * SECOND + self.nanoseconds,
            self.rx_bytes,
            self.tx_bytes,
            self.keepalive,
            self.version,
        )


def _key(text: str) -> Key:
    try:
        return Key.from_hex(text)
    except KeyFormatError:
        raise ValueError("not a key of 64 hexadecimal digits") from None


def _number(text: str, most: int) -> int:
    number = decimal(text, most)
    if number is None:
        raise ValueError(f"not a number from 0 to {most}")
    return number


def _true(text: str) -> bool:
    if text != "true":
        raise ValueError("not `true'")
    return True


_NO_KEY: Final = Key.ZERO.hex

"""The output of `wg show`: for people (`pretty`), and by fields for programs (`fields`).

Pure: the caller passes the time and whether to use colours. The output equals that of wg(8), byte
for byte (docs/decisions/0004-which-wg.md).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from holloway.errors import HIDDEN
from holloway.key import Key
from holloway.model import SECOND, Device, Endpoint, Peer

NONE: Final = "(none)"


@dataclass(frozen=True, slots=True)
class Style:
    """How `pretty` prints: with or without colours, with or without secret keys."""

    colours: bool = False
    hide_keys: bool = True

    def paint(self, codes: str, text: str) -> str:
        """Return `text` between colour codes."""
        return f"{codes}{text}{_RESET}" if self.colours else text

    def heading(self, interface: str) -> str:
        """Return the line that begins an interface."""
        reset = _RESET if self.colours else ""
        label = self.paint(_GREEN + _BOLD, "interface")
        return f"{reset}{label}: {self.paint(_GREEN, interface)}"

    def peer_heading(self, key: Key, name: str | None) -> str:
        """Return the line that begins a peer, with its name if it has one."""
        label = self.paint(_YELLOW + _BOLD, "peer")
        beside = "" if name is None else f" ({self.paint(_BOLD, name)})"
        return f"{label}: {self.paint(_YELLOW, key.base64)}{beside}"

    def label(self, text: str) -> str:
        """Return the label of a value."""
        return f"  {self.paint(_BOLD, text)}: "

    def secret(self, key: Key) -> str:
        """Return a secret key, or the placeholder for it."""
        return HIDDEN if self.hide_keys else key.base64

    def unit(self, text: str) -> str:
        """Return a unit of time or of size."""
        return self.paint(_CYAN, text)


def pretty(
    device: Device, now: int, style: Style, names: Mapping[Key, str] = MappingProxyType({})
) -> str:
    """Format a device for people; `now` is seconds since 1970, `names` appear beside keys."""
    lines = [style.heading(device.name)]
    if device.private_key is not None:
        lines.append(f"{style.label('public key')}{public_key(device)}")
    if device.private_key is not None:
        lines.append(f"{style.label('private key')}{style.secret(device.private_key)}")
    if device.listen_port:
        lines.append(f"{style.label('listening port')}{_listen_port(device, style)}")
    if device.fwmark:
        lines.append(f"{style.label('fwmark')}{device.fwmark:#x}")
    # Python's sort is stable, also reversed: equal peers stay in the device's order.
    for peer in sorted(device.peers, key=_latest_handshake, reverse=True):
        lines += ["", *_pretty_peer(peer, now, style, names.get(peer.public_key))]
    return "\n".join(lines) + "\n"


def _pretty_peer(peer: Peer, now: int, style: Style, name: str | None) -> Iterator[str]:
    yield style.peer_heading(peer.public_key, name)
    if peer.preshared_key is not None:
        yield f"{style.label('preshared key')}{style.secret(peer.preshared_key)}"
    if peer.endpoint is not None:
        yield f"{style.label('endpoint')}{peer.endpoint}"
    slash = style.unit("/")
    networks = [f"{network.host}{slash}{network.cidr}" for network in peer.allowed_ips]
    yield f"{style.label('allowed ips')}{', '.join(networks) or NONE}"
    if peer.latest_handshake >= SECOND:
        since = _ago(now - peer.latest_handshake // SECOND, style)
        yield f"{style.label('latest handshake')}{since}"
    if peer.rx_bytes or peer.tx_bytes:
        received, sent = _size(peer.rx_bytes, style), _size(peer.tx_bytes, style)
        yield f"{style.label('transfer')}{received} received, {sent} sent"
    if peer.persistent_keepalive:
        every = _span(peer.persistent_keepalive, style)
        yield f"{style.label('persistent keepalive')}every {every}"


def _listen_port(device: Device, style: Style) -> str:
    if not device.listen_error:
        return str(device.listen_port)
    problem = f"not bound: {os.strerror(device.listen_error)}"
    return f"{device.listen_port} ({style.paint(_RED, problem)})"


def public_key(device: Device) -> str:
    """Return a device's public key, or the placeholder for none."""
    key = device.public_key
    return NONE if key is None else key.base64


def fields(device: Device, field: str, *, prefix: str = "") -> str | None:
    """Format one field of a device or of each of its peers; return None for an unknown field.

    `prefix` precedes each line: the interface's name if several devices are shown.
    """
    if field == "dump":
        from holloway.text.convert import state_of

        printed = state_of(device).dump(prefix.encode("utf-8", "surrogateescape"))
        return printed.decode("utf-8", "surrogateescape")
    if field in _DEVICE_FIELDS:
        return f"{prefix}{_DEVICE_FIELDS[field](device)}\n"
    if field not in _PEER_FIELDS:
        return None
    rows = [f"{peer.public_key.base64}{_PEER_FIELDS[field](peer)}\n" for peer in device.peers]
    return "".join([prefix + row for row in rows])


def _base64_or_none(key: Key | None) -> str:
    return NONE if key is None else key.base64


def _endpoint(endpoint: Endpoint | None) -> str:
    return NONE if endpoint is None else str(endpoint)


def _fwmark(device: Device) -> str:
    return f"{device.fwmark:#x}" if device.fwmark else "off"


def _latest_handshake(peer: Peer) -> int:
    return peer.latest_handshake


def _ago(seconds: int, style: Style) -> str:
    if seconds == 0:
        return "Now"
    if seconds < 0:
        warning = "System clock wound backward; connection problems may ensue."
        return f"({style.paint(_RED, warning)})"
    return f"{_span(seconds, style)} ago"


def _span(seconds: int, style: Style) -> str:
    parts = []
    for name, length in _UNITS_OF_TIME:
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count} {style.unit(name if count == 1 else name + 's')}")
    return ", ".join(parts)


def _size(count: int, style: Style) -> str:
    if count < _KIBIBYTE:
        return f"{count} {style.unit('B')}"
    size, unit = count / _KIBIBYTE, "KiB"
    for larger in ("MiB", "GiB", "TiB"):
        if count < _KIBIBYTE ** (_SIZES.index(larger) + 1):
            break
        size, unit = count / _KIBIBYTE ** (_SIZES.index(larger) + 1), larger
    return f"{size:.2f} {style.unit(unit)}"


_RESET: Final = "\x1b[0m"
_BOLD: Final = "\x1b[1m"
_RED: Final = "\x1b[31m"
_GREEN: Final = "\x1b[32m"
_YELLOW: Final = "\x1b[33m"
_CYAN: Final = "\x1b[36m"

_KIBIBYTE: Final = 1024
_SIZES: Final = ("KiB", "MiB", "GiB", "TiB")
_UNITS_OF_TIME: Final = (
    ("year", 365 * 24 * 60 * 60),
    ("day", 24 * 60 * 60),
    ("hour", 60 * 60),
    ("minute", 60),
    ("second", 1),
)

_DEVICE_FIELDS: Final[dict[str, Callable[[Device], str]]] = {
    "public-key": public_key,
    "private-key": lambda device: _base64_or_none(device.private_key),
    "listen-port": lambda device: str(0 if device.listen_error else device.listen_port),
    "fwmark": _fwmark,
}
_PEER_FIELDS: Final[dict[str, Callable[[Peer], str]]] = {
    "peers": lambda peer: "",
    "preshared-keys": lambda peer: f"\t{_base64_or_none(peer.preshared_key)}",
    "endpoints": lambda peer: f"\t{_endpoint(peer.endpoint)}",
    "allowed-ips": lambda peer: f"\t{' '.join(map(str, peer.allowed_ips)) or NONE}",
    "latest-handshakes": lambda peer: f"\t{peer.latest_handshake // SECOND}",
    "persistent-keepalive": lambda peer: f"\t{peer.persistent_keepalive or 'off'}",
    "transfer": lambda peer: f"\t{peer.rx_bytes}\t{peer.tx_bytes}",
}

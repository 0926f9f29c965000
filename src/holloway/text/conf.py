"""Configuration files of wg(8): text -> `DeviceUpdate`, and `Device` -> text as showconf has it.

Names of hosts go to the `Resolver` that the caller brings, line by line in the file's order, so
that what a user is told comes in that order too. Every refusal names line, key and reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from holloway.errors import ConfigError
from holloway.key import Key
from holloway.model import Device, DeviceUpdate, Endpoint, Peer, PeerUpdate
from holloway.text.quick import QuickConfig, parse_quick
from holloway.text.values import (
    AllowedIPChanges,
    Resolver,
    lowered,
    parse_endpoint,
    parse_fwmark,
    parse_keepalive,
    parse_key,
    parse_port,
)

__all__ = ["MISSING_PUBLIC_KEY", "QuickConfig", "dump_conf", "parse_conf", "parse_quick"]

MISSING_PUBLIC_KEY: Final = "A peer is missing a public key"
"""The one reason that stands against a whole file and not against a line of it."""


def parse_conf(
    source: str | QuickConfig, resolver: Resolver, *, append: bool = False
) -> DeviceUpdate:
    """Read a file, or what wg-quick left of one; raises `ConfigError`.

    As setconf has it, what the file does not name is reset; with `append`, as addconf has it, it
    stays. The peers that the file names get exactly its allowed IPs either way.
    """
    reader = _Reader(resolver)
    for number, line in numbered(source):
        cleaned = clean(line)
        if cleaned:
            reader.read(number, cleaned)
    return reader.result(append=append)


def numbered(source: str | QuickConfig) -> Iterable[tuple[int, str]]:
    """The lines with their numbers in the file."""
    return enumerate(source.split("\n"), 1) if isinstance(source, str) else source.wg_lines


def clean(line: str) -> str:
    """Take away the comment and all space, also within; a NUL ends the line."""
    text = line.replace(" ", "")
    if "#" not in text and text.isprintable():
        return text  # most lines: no other space is printable
    return line.partition("\0")[0].partition("#")[0].translate(_NO_SPACE)


class _Reader:
    """Collects device and peers while the lines go by."""

    def __init__(self, resolver: Resolver) -> None:
        self.resolver = resolver
        self.section = ""
        self.private_key: Key | None = None
        self.listen_port: int | None = None
        self.fwmark: int | None = None
        self.peers: list[_PeerReader] = []

    def read(self, number: int, line: str) -> None:
        if line[0] == "[" and lowered(line) in {"[interface]", "[peer]"}:
            self.section = lowered(line)
            if self.section == "[peer]":
                self.peers.append(_PeerReader(number))
            return
        name, _, value = line.partition("=")
        try:
            # wg(8) knows a setting by its name and "=" with something after it.
            if not (value and self._setting(lowered(name), value)):
                raise ConfigError(f"Line unrecognized: `{line}'")
        except ConfigError as error:
            error.key, error.line = name, number
            raise

    def _setting(self, name: str, value: str) -> bool:
        if self.section == "[peer]":
            return self.peers[-1].read(name, value, self.resolver)
        if self.section != "[interface]":
            return False
        match name:
            case "listenport":
                self.listen_port = parse_port(value, self.resolver)
            case "fwmark":
                self.fwmark = parse_fwmark(value)
            case "privatekey":
                self.private_key = parse_key(value)
            case _:
                return False
        return True

    def result(self, *, append: bool) -> DeviceUpdate:
        peers = tuple(peer.result() for peer in self.peers)
        if append:
            return DeviceUpdate(self.private_key, self.listen_port, self.fwmark, peers=peers)
        return DeviceUpdate(
            private_key=self.private_key or Key.ZERO,
            listen_port=self.listen_port or 0,
            fwmark=self.fwmark or 0,
            replace_peers=True,
            peers=peers,
        )


class _PeerReader:
    """Collects one `[Peer]`."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.public_key: Key | None = None
        self.preshared_key: Key | None = None
        self.endpoint: Endpoint | None = None
        self.keepalive: int | None = None
        self.allowed_ips = AllowedIPChanges()
        self.allowed_ips.clear()

    def read(self, name: str, value: str, resolver: Resolver) -> bool:
        match name:
            case "allowedips":
                self.allowed_ips.read(value, resolver)
            case "endpoint":
                self.endpoint = parse_endpoint(value, resolver)
            case "publickey":
                self.public_key = parse_key(value)
            case "presharedkey":
                self.preshared_key = parse_key(value)
            case "persistentkeepalive":
                self.keepalive = parse_keepalive(value)
            case _:
                return False
        return True

    def result(self) -> PeerUpdate:
        if self.public_key is None:
            raise ConfigError(MISSING_PUBLIC_KEY, key="PublicKey", line=self.line)
        return PeerUpdate(
            public_key=self.public_key,
            preshared_key=self.preshared_key,
            endpoint=self.endpoint,
            persistent_keepalive=self.keepalive,
            replace_allowed_ips=self.allowed_ips.replace,
            removed_allowed_ips=self.allowed_ips.removed(),
            allowed_ips=self.allowed_ips.added(),
        )


def dump_conf(device: Device) -> str:
    """Write what `wg showconf` prints."""
    lines = ["[Interface]"]
    if device.listen_port:
        lines.append(f"ListenPort = {device.listen_port}")
    if device.fwmark:
        lines.append(f"FwMark = {device.fwmark:#x}")
    if device.private_key is not None:
        lines.append(f"PrivateKey = {device.private_key.base64}")
    for peer in device.peers:
        lines += ["", *_dump_peer(peer)]
    if not device.peers:
        lines.append("")
    return "\n".join(lines) + "\n"


def _dump_peer(peer: Peer) -> list[str]:
    lines = ["[Peer]", f"PublicKey = {peer.public_key.base64}"]
    if peer.preshared_key:
        lines.append(f"PresharedKey = {peer.preshared_key.base64}")
    if peer.allowed_ips:
        lines.append(f"AllowedIPs = {', '.join(map(str, peer.allowed_ips))}")
    if peer.endpoint is not None:
        lines.append(f"Endpoint = {peer.endpoint}")
    if peer.persistent_keepalive:
        lines.append(f"PersistentKeepalive = {peer.persistent_keepalive}")
    return lines


_NO_SPACE: Final = dict.fromkeys(map(ord, " \t\n\v\f\r"))

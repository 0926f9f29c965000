"""Configuration files of wg(8): text -> `DeviceUpdate`, and `Device` -> the text of showconf.

Host names are looked up by the caller's `Resolver`, line by line in the file's order, so that its
messages come in that order too. Every error names line, key and reason.
"""

from __future__ import annotations

from typing import Final

from holloway.model import Device, DeviceUpdate, Peer
from holloway.text.convert import device_update_of
from holloway.text.native import encoded, read_configuration
from holloway.text.quick import QuickConfig, parse_quick
from holloway.text.resolver import Resolver

__all__ = ["QuickConfig", "dump_conf", "parse_conf", "parse_quick"]


def parse_conf(
    source: str | QuickConfig, resolver: Resolver, *, append: bool = False
) -> DeviceUpdate:
    """Parse a file, or the lines of one that are not wg-quick's; raises `ConfigError`.

    Settings that the file does not name are reset, as by setconf, or kept with `append`, as by
    addconf. In both cases the peers that the file names get exactly its allowed IPs.
    """
    update = read_configuration(
        encoded(source)
        if isinstance(source, str)
        else [(number, encoded(line)) for number, line in source.wg_lines],
        resolver,
        append=append,
    )
    return device_update_of(update)


def clean(line: str) -> str:
    """Remove the comment and all whitespace, also inside; a NUL ends the line."""
    return line.partition("\0")[0].partition("#")[0].translate(_NO_SPACE)


def dump_conf(device: Device) -> str:
    """Return what `wg showconf` prints."""
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

"""Configuration files of wg(8): text -> `DeviceUpdate`, and `Device` -> text as showconf has it.

Names of hosts go to the `Resolver` that the caller brings, line by line in the file's order, so
that what a user is told comes in that order too. Every refusal names line, key and reason.
"""

from __future__ import annotations

from typing import Final

from holloway.model import Device, DeviceUpdate, Peer
from holloway.text.convert import device_update_of
from holloway.text.native import encoded, read_configuration
from holloway.text.quick import QuickConfig, parse_quick
from holloway.text.values import Resolver

__all__ = ["QuickConfig", "dump_conf", "parse_conf", "parse_quick"]


def parse_conf(
    source: str | QuickConfig, resolver: Resolver, *, append: bool = False
) -> DeviceUpdate:
    """Read a file, or what wg-quick left of one; raises `ConfigError`.

    As setconf has it, what the file does not name is reset; with `append`, as addconf has it, it
    stays. The peers that the file names get exactly its allowed IPs either way.
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
    """Take away the comment and all space, also within; a NUL ends the line."""
    return line.partition("\0")[0].partition("#")[0].translate(_NO_SPACE)


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

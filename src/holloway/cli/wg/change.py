"""`wg set`: turns options into a `DeviceUpdate`."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from holloway.cli.wg.keys import SPACE, read_key_file
from holloway.cli.wg.report import NAME, fail, print_err, reason
from holloway.control import find
from holloway.control.resolve import SystemResolver
from holloway.errors import ConfigError
from holloway.key import Key
from holloway.model import DeviceUpdate, PeerUpdate
from holloway.text.resolver import Resolver
from holloway.text.values import (
    AllowedIPChanges,
    parse_endpoint,
    parse_fwmark,
    parse_keepalive,
    parse_key,
    parse_port,
)

USAGE_OF_SET: Final = (
    f"Usage: {NAME} set <interface> [listen-port <port>] [fwmark <mark>] "
    "[private-key <file path>] [peer <base64 public key> [remove] [preshared-key <file path>] "
    "[endpoint <ip>:<port>] [persistent-keepalive <interval seconds>] "
    "[allowed-ips [+|-]<ip1>/<cidr1>[,[+|-]<ip2>/<cidr2>]...] ]..."
)


def set_options(arguments: list[str]) -> int:
    """Run `wg set`; returns the exit status."""
    if len(arguments) < 2:
        return fail(USAGE_OF_SET)
    try:
        update = parse_options(arguments[1:], SystemResolver(print_err))
    except ConfigError as error:
        return fail(error.reason)
    try:
        find(arguments[0]).set(update)
    except OSError as error:
        return fail(f"Unable to modify interface: {reason(error)}")
    return 0


def parse_options(options: list[str], resolver: Resolver) -> DeviceUpdate:
    """Read what follows the interface's name in `wg set`; raises `ConfigError`."""
    device = DeviceUpdate()
    peers: list[_Peer] = []
    while options:
        name, value = options[0], options[1] if len(options) > 1 else None
        taken = 2
        if name == "remove" and peers:
            peers[-1].update, taken = replace(peers[-1].update, remove=True), 1
        elif value is None:
            raise ConfigError(f"Invalid argument: {name}")
        elif name == "peer":
            peers.append(_Peer(parse_key(value)))
        elif peers:
            peers[-1].read(name, value, resolver)
        else:
            device = _device_option(device, name, value, resolver)
        options = options[taken:]
    return replace(device, peers=tuple(peer.result() for peer in peers))


def _device_option(device: DeviceUpdate, name: str, value: str, resolver: Resolver) -> DeviceUpdate:
    match name:
        case "listen-port":
            return replace(device, listen_port=parse_port(value, resolver))
        case "fwmark":
            return replace(device, fwmark=parse_fwmark(value))
        case "private-key":
            return replace(device, private_key=read_key_file(value))
    raise ConfigError(f"Invalid argument: {name}")


class _Peer:
    """Collects the options after one `peer`."""

    def __init__(self, public_key: Key) -> None:
        self.update = PeerUpdate(public_key)
        self.allowed_ips = AllowedIPChanges()

    def read(self, name: str, value: str, resolver: Resolver) -> None:
        """Read one option."""
        match name:
            case "endpoint":
                self.update = replace(self.update, endpoint=parse_endpoint(value, resolver))
            case "allowed-ips":
                self.allowed_ips.read(value.translate(_NO_SPACE), resolver)
            case "persistent-keepalive":
                self.update = replace(self.update, persistent_keepalive=parse_keepalive(value))
            case "preshared-key":
                self.update = replace(self.update, preshared_key=read_key_file(value))
            case _:
                raise ConfigError(f"Invalid argument: {name}")

    def result(self) -> PeerUpdate:
        """Return the update of this peer."""
        return self.allowed_ips.applied(self.update)


_NO_SPACE: Final = dict.fromkeys(SPACE)

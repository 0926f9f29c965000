"""The settings of a network, and how a wg-quick file gives them; `keywords` makes others.

Settings of a wg-quick file that concern the whole system do not apply to a single program, and are
ignored with a note. Names are looked up only with the given resolver.
"""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass, replace
from ipaddress import ip_interface
from typing import TYPE_CHECKING, Any, Final

from holloway.errors import ConfigError
from holloway.model import DeviceUpdate, Endpoint
from holloway.net.arguments import checked_port, kind_of
from holloway.text.address import numeric
from holloway.text.conf import parse_conf
from holloway.text.quick import QuickConfig, parse_quick

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holloway.net.keywords import NamedEndpoints
    from holloway.net.stack import Interface
    from holloway.text.resolver import Resolver


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a network, before it is opened.

    `source` is what names endpoints that are still to be looked up: the file, or the arguments.
    `notes` say which settings of the file are ignored.
    """

    name: str
    update: DeviceUpdate
    addresses: tuple[Interface, ...]
    dns: tuple[str, ...] = ()
    mtu: int = 1420
    notes: tuple[str, ...] = ()
    source: QuickConfig | NamedEndpoints | None = None

    @property
    def servers(self) -> tuple[str, ...]:
        """The name servers of `DNS`."""
        return tuple(each for each in self.dns if numeric(each) is not None)

    @property
    def domains(self) -> tuple[str, ...]:
        """The search domains of `DNS`: what is no address."""
        return tuple(each for each in self.dns if numeric(each) is None)

    def resolved(self, resolver: Resolver) -> Settings:
        """Return the settings with endpoints looked up; may take long. Raises ConfigError."""
        if self.source is None:
            return self
        if isinstance(self.source, QuickConfig):
            update = replace(parse_conf(self.source, resolver), fwmark=self.update.fwmark)
        else:
            update = self.source.resolved(self.update, resolver)
        return replace(self, update=update, source=None)


def from_config(given: str | os.PathLike[str]) -> Settings:
    """Parse a file, or the text of one; raises ConfigError and OSError."""
    text, name = _read(given)
    config = parse_quick(text)
    addresses = own_addresses(config.addresses, "Address")
    checking = _OfflineResolver()
    update = parse_conf(config, checking)
    _require_keys(update)
    notes = [*_notes(config), *checking.warnings]
    if update.fwmark and not _can_set_mark(update.fwmark):
        update = replace(update, fwmark=0)
        notes.append("FwMark is left out: marking packets needs CAP_NET_ADMIN")
    return Settings(
        name=name,
        update=update,
        addresses=addresses,
        dns=tuple(config.dns),
        mtu=_mtu(config.mtu),
        notes=tuple(notes),
        source=config if checking.saw_names else None,
    )


def from_either(config: str | os.PathLike[str] | None, **arguments: Any) -> Settings:
    """Return the settings of a configuration or of arguments; TypeError for both or neither."""
    given = [name for name, value in arguments.items() if value != _DEFAULTS[name]]
    if config is None:
        if "private_key" not in given:
            raise TypeError("a network needs a configuration, or private_key, addresses and peers")
        from holloway.net.keywords import from_arguments  # most programs have a file

        return from_arguments(**arguments)
    if given:
        raise TypeError(f"with a configuration there is no {' and no '.join(given)}")
    return from_config(config)


class _OfflineResolver:
    """A `Resolver` that looks nothing up, but notes whether there are names."""

    def __init__(self) -> None:
        self.saw_names = False
        self.warnings: list[str] = []

    def port(self, service: str) -> int:
        if service.isascii() and service.isdigit() and len(service) <= _PORT_DIGITS:
            return checked_port(int(service))
        self.saw_names = True
        return 0

    def endpoint(self, host: str, service: str, text: str) -> Endpoint:
        if service.isascii() and service.isdigit() and len(service) <= _PORT_DIGITS:
            checked_port(int(service))
        try:
            return Endpoint.parse(f"[{host}]:{service}" if ":" in host else f"{host}:{service}")
        except ValueError:
            self.saw_names = True
            return Endpoint("0.0.0.0", 0)  # noqa: S104  # never used

    def warn(self, sentence: str) -> None:
        self.warnings.append(sentence)


def _read(given: str | os.PathLike[str]) -> tuple[str, str]:
    """Return the text, and the network's name."""
    if not isinstance(given, str | os.PathLike):
        raise TypeError(f"config is the path of a wg-quick file, or its text, not {kind_of(given)}")
    if isinstance(given, str) and not given.strip():
        raise ConfigError("give the path of a wg-quick file, or its text", key="config")
    if isinstance(given, str) and ("\n" in given or given.lstrip().startswith("[")):
        return given, FALLBACK_NAME
    # Not pathlib, which takes 2 ms to load.
    with open(given, encoding="utf-8", errors="surrogateescape") as file:
        text = file.read()
    stem = os.path.splitext(os.path.basename(given))[0]
    return text, stem if NAME.fullmatch(stem) else FALLBACK_NAME


def _require_keys(update: DeviceUpdate) -> None:
    """Refuse a file with which no packet would ever pass; raises ConfigError."""
    if not update.private_key:
        reason = "missing: add `PrivateKey = ...' to [Interface]; `wg genkey' makes one"
        raise ConfigError(reason, key="PrivateKey")
    if update.peers and not any(peer.allowed_ips for peer in update.peers):
        reason = (
            "missing: add `AllowedIPs = ...' to [Peer], the addresses that are behind the peer,"
            " or 0.0.0.0/0, ::/0 for all"
        )
        raise ConfigError(reason, key="AllowedIPs")


def _notes(config: QuickConfig) -> Iterable[str]:
    hooks = {
        "PreUp": config.pre_up,
        "PostUp": config.post_up,
        "PreDown": config.pre_down,
        "PostDown": config.post_down,
    }
    for key, commands in hooks.items():
        if commands:
            yield f"{key} is not run: a program's network has no hooks"
    if config.table is not None:
        yield "Table means nothing here: the routes of the system are left alone"
    if config.save_config:
        yield "SaveConfig means nothing here: the file is never written"


def own_addresses(values: Iterable[str], key: str) -> tuple[Interface, ...]:
    """Parse our own addresses, each once; `key` is what errors name. Raises ConfigError."""
    found = []
    for value in values:
        try:
            found.append(ip_interface(value))
        except ValueError:
            raise ConfigError(f"`{value}' is not an IP address", key=key) from None
    if not found:
        raise ConfigError("a peer inside a program needs an address of its own", key=key)
    return tuple(dict.fromkeys(found))


def _mtu(value: int | None) -> int:
    if value is None:
        return DEFAULT_MTU
    if not MIN_MTU <= value <= MAX_MTU:
        raise ConfigError(f"`{value}' is not from {MIN_MTU} to {MAX_MTU}", key="MTU")
    return value


def _can_set_mark(mark: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        try:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
        except OSError:
            return False
    return True


DEFAULT_MTU: Final = 1420
MIN_MTU: Final = 68  # RFC 791
MAX_MTU: Final = 65_535
FALLBACK_NAME: Final = "holloway"
NAME: Final = re.compile(r"[a-zA-Z0-9_=+.-]{1,15}")  # as wg-quick(8) has it
_PORT_DIGITS: Final = 20
_DEFAULTS: Final = {
    "private_key": None, "peers": (), "addresses": (), "dns": (), "mtu": DEFAULT_MTU,
    "listen_port": 0, "name": FALLBACK_NAME,
}  # fmt: skip

"""The settings of a proxy, from the text of a wireproxy configuration.

A wg-quick file is such a configuration without services. Pure: the caller reads files and passes
the environment. Called by `cli.proxy`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import TYPE_CHECKING, Final

from holloway.errors import ConfigError
from holloway.proxy.address import parse_address

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holloway.proxy.address import Address


@dataclass(frozen=True, slots=True)
class Login:
    """The user and the password that a client has to send."""

    user: str
    password: str = field(repr=False)

    def accepts(self, user: bytes, password: bytes) -> bool:
        """Compare in constant time."""
        is_user = compare_digest(user, self.user.encode())
        return compare_digest(password, self.password.encode()) and is_user


@dataclass(frozen=True, slots=True)
class Socks5Port:
    """A SOCKS5 proxy on the host."""

    bind: Address
    login: Login | None = None


@dataclass(frozen=True, slots=True)
class HttpPort:
    """An HTTP proxy on the host."""

    bind: Address
    login: Login | None = None


@dataclass(frozen=True, slots=True)
class ForwardPort:
    """A port that leads to one target; `is_reverse` is from the tunnel to the host.

    `idle` is after how many idle seconds a UDP flow ends; 0 is never.
    """

    bind: Address
    target: Address
    is_reverse: bool = False
    is_udp: bool = False
    idle: float = 0.0


UDP_IDLE_TIMEOUT: Final = 120.0
"""Seconds, for UDP forwards of the command line: the least that RFC 4787, REQ-5 allows."""

Port = Socks5Port | HttpPort | ForwardPort


@dataclass(frozen=True, slots=True)
class Settings:
    """A whole configuration.

    `wg` is the text of the WireGuard sections, or `wg_path` the file that has them. `stdio` is the
    target of standard input and output. `check_alive` are addresses to ping every `check_interval`
    seconds.
    """

    wg: str = ""
    wg_path: str | None = None
    ports: tuple[Port, ...] = ()
    stdio: Address | None = None
    check_alive: tuple[str, ...] = ()
    check_interval: float = 5.0
    notes: tuple[str, ...] = ()


def parse_settings(text: str, environment: Mapping[str, str]) -> Settings:
    """Parse a configuration; raises `ConfigError` with line and key."""
    reader = _Reader(environment)
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        reader.read(number, line)
    return reader.result()


def allow_all(wg: str) -> str:
    """Give a peer without AllowedIPs all addresses, as wireproxy does."""
    return re.sub(_LAST_OF_PEER, _with_allowed_ips, wg)


def parse_forward(text: str, *, is_reverse: bool = False) -> ForwardPort:
    """Parse `[HOST:]PORT:TARGET:PORT[/udp]`, the notation of ssh's -L; raises `ConfigError`.

    Without a host it listens on 127.0.0.1, or in the tunnel on all our addresses.
    """
    found = _FORWARD.fullmatch(text)
    if found is None:
        raise ConfigError(f"`{text}' is not [HOST:]PORT:TARGET:PORT")
    host = found[1] or ("" if is_reverse else "127.0.0.1:")
    bind = parse_address(f"{host or ':'}{found[2]}")
    target = parse_address(found[3])
    if not target[0] or not target[1]:
        raise ConfigError(f"`{text}' names no target")
    is_udp = (found[4] or "").lower() == "/udp"
    return ForwardPort(bind, target, is_reverse, is_udp, UDP_IDLE_TIMEOUT if is_udp else 0.0)


class _Section:
    """A section of a service: its values, with their line numbers."""

    def __init__(self, name: str, line: int) -> None:
        self.name = name
        self.line = line
        self.values: dict[str, tuple[int, str]] = {}

    def address(self, key: str) -> Address:
        line, text = self._required(key)
        return parse_address(text, key=key, line=line)

    def target(self, key: str = "Target") -> Address:
        line, text = self._required(key)
        host, port = parse_address(text, key=key, line=line)
        if not host or not port:
            raise ConfigError(f"`{text}' names no host and port", key=key, line=line)
        return host, port

    def port(self, key: str) -> int:
        line, text = self._required(key)
        return parse_address(f":{text}", key=key, line=line)[1]

    def seconds(self, key: str, default: float) -> float:
        line, text = self.values.get(key.lower(), (0, ""))
        if not line:
            return default
        if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
            raise ConfigError(f"`{text}' is not a number of seconds", key=key, line=line)
        return float(text)

    def login(self) -> Login | None:
        _, user = self.values.get("username", (0, ""))
        line, password = self.values.get("password", (0, ""))
        if password and not user:
            raise ConfigError("a password needs a Username", key="Password", line=line)
        return Login(user, password) if user else None

    def _required(self, key: str) -> tuple[int, str]:
        if key.lower() not in self.values:
            raise ConfigError(f"missing in [{self.name}]", key=key, line=self.line)
        return self.values[key.lower()]


class _Reader:
    """Sorts the lines into WireGuard's sections and the services'."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.section = ""
        self.services: list[_Section] = []
        self.wg: list[str] = []
        self.interface = _Section("Interface", 0)
        self.wg_path: str | None = None
        self.notes: list[str] = []

    def read(self, number: int, raw: str) -> None:
        line = raw.strip()
        heading = _HEADING.fullmatch(line)
        if heading is not None:
            self._open(number, heading[1])
        elif self.section in _WG and not self._is_alive_check(number, line):
            self.wg.append(self._expanded(number, raw))
            return
        elif line and line[0] not in "#;" and self.section not in _WG:
            self._set(number, line)
        # Empty lines stand for the others, so that WireGuard's parser reports right line numbers.
        self.wg.append(raw if heading is not None and self.section in _WG else "")

    def result(self) -> Settings:
        ports = [port for each in self.services if (port := _port(each)) is not None]
        stdio = [each.target() for each in self.services if each.name.lower() == "stdiotunnel"]
        if len(stdio) > 1:
            line = [each.line for each in self.services if each.name.lower() == "stdiotunnel"][1]
            raise ConfigError("only one is possible", key="STDIOTunnel", line=line)
        text = "\n".join(self.wg)
        is_wireproxy = bool(self.services) or self.wg_path is not None
        _, alive = self.interface.values.get("checkalive", (0, ""))
        return Settings(
            wg=allow_all(text) if is_wireproxy else text,
            wg_path=self.wg_path,
            ports=tuple(ports),
            stdio=stdio[0] if stdio else None,
            check_alive=tuple(alive.replace(",", " ").split()),
            check_interval=self.interface.seconds("CheckAliveInterval", 5.0) or 5.0,
            notes=tuple(self.notes),
        )

    def _open(self, number: int, name: str) -> None:
        self.section = name.lower()
        if self.section in _KEYS:
            self.services.append(_Section(name, number))
        elif self.section == "resolve":
            self.notes.append(f"line {number}: [Resolve] is ignored")
        elif self.section not in _WG:
            raise ConfigError(f"there is no section [{name}]", line=number)

    def _set(self, number: int, line: str) -> None:
        key, equals, rest = line.partition("=")
        name = key.strip().lower()
        if not equals:
            raise ConfigError(f"Line unrecognized: `{line}'", line=number)
        value = self._value(number, key.strip(), rest.strip())
        if self.section == "resolve":
            return
        if not self.section:
            if name != "wgconfig":
                raise ConfigError("is outside of any section", key=key.strip(), line=number)
            self.wg_path = value
            return
        if name not in _KEYS[self.section]:
            reason = "HTTPS is not served" if name in _TLS else f"[{self.section}] has no such key"
            raise ConfigError(reason, key=key.strip(), line=number)
        self.services[-1].values[name] = (number, value)

    def _is_alive_check(self, number: int, line: str) -> bool:
        key, _, value = line.partition("=")
        name = key.strip().lower()
        if self.section != "interface" or name not in ("checkalive", "checkaliveinterval"):
            return False
        self.interface.values[name] = (number, self._value(number, key.strip(), value.strip()))
        return True

    def _value(self, number: int, key: str, text: str) -> str:
        """Remove quotes or a comment, and look up a variable of the environment."""
        quoted = _QUOTED.match(text)
        value = quoted[2] if quoted is not None else _COMMENT.split(text, maxsplit=1)[0].strip()
        return self._looked_up(number, key, value)

    def _expanded(self, number: int, raw: str) -> str:
        key, _, value = raw.partition("=")
        word = value.partition("#")[0].strip()
        if not word.startswith("$"):
            return raw
        return f"{key}= {self._looked_up(number, key.strip(), word)}"

    def _looked_up(self, number: int, key: str, value: str) -> str:
        if not value.startswith("$"):
            return value
        if value.startswith("$$"):
            return value[1:]
        if value[1:] not in self.environment:
            raise ConfigError(f"the environment has no {value[1:]}", key=key, line=number)
        return self.environment[value[1:]]


def _port(section: _Section) -> Port | None:
    match section.name.lower():
        case "socks5":
            return Socks5Port(section.address("BindAddress"), section.login())
        case "http":
            return HttpPort(section.address("BindAddress"), section.login())
        case "tcpclienttunnel":
            return ForwardPort(section.address("BindAddress"), section.target())
        case "tcpservertunnel":
            bind = ("", section.port("ListenPort"))
            return ForwardPort(bind, section.target(), is_reverse=True)
        case "udpproxytunnel":
            idle = section.seconds("InactivityTimeout", 0.0)
            bind = section.address("BindAddress")
            return ForwardPort(bind, section.target(), is_udp=True, idle=idle)
    return None


def _with_allowed_ips(peer: re.Match[str]) -> str:
    lines = peer[0].split("\n")
    if any(line.partition("=")[0].strip().lower() == "allowedips" for line in lines):
        return peer[0]
    everything = "AllowedIPs = 0.0.0.0/0, ::/0"
    for number, line in enumerate(lines[:-1]):
        if not line.partition("#")[0].strip():
            lines[number] = everything  # instead of an empty line: all lines keep their numbers
            return "\n".join(lines)
    return "\n".join((lines[0], everything, *lines[1:]))


_WG: Final = ("interface", "peer")
_TLS: Final = ("certfile", "keyfile")
_KEYS: Final = {
    "socks5": ("bindaddress", "username", "password"),
    "http": ("bindaddress", "username", "password"),
    "tcpclienttunnel": ("bindaddress", "target"),
    "tcpservertunnel": ("listenport", "target"),
    "udpproxytunnel": ("bindaddress", "target", "inactivitytimeout"),
    "stdiotunnel": ("target",),
}
_HEADING: Final = re.compile(r"\[\s*([A-Za-z0-9]+)\s*\]\s*(?:[#;].*)?")
_QUOTED: Final = re.compile(r"([\"'`])(.*?)\1\s*(?:[#;].*)?$")
_COMMENT: Final = re.compile(r"[#;]")
_HOST: Final = r"\[[0-9A-Fa-f:.%\w]+\]|[^\s\[\]:]*"
_FORWARD: Final = re.compile(
    rf"(?:((?:{_HOST}):))?([0-9]{{1,5}}):((?:{_HOST}):[0-9]{{1,5}})(/tcp|/udp)?", re.ASCII | re.I
)
_LAST_OF_PEER: Final = re.compile(r"^[ \t]*\[peer\].*?(?=^[ \t]*\[|\Z)", re.I | re.M | re.S)
_DIGITS: Final = 9

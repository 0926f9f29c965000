"""Single values as wg(8) reads them, in files and on the command line alike.

A bad value is a `ConfigError` whose reason is the sentence that wg(8) prints. Names of hosts and
services are for a `Resolver` to look up; nothing here touches the network.
"""

from __future__ import annotations

from typing import Final, Protocol

from holloway.errors import ConfigError, KeyFormatError
from holloway.key import Key
from holloway.model import AllowedIP, Endpoint

MAX_KEEPALIVE: Final = 0xFFFF
MAX_FWMARK: Final = 0xFFFFFFFF
MAX_DIGITS: Final = 20  # of any number here; longer ones are not worth the arithmetic


class Resolver(Protocol):
    """What the reading of a configuration asks of the world outside."""

    def port(self, service: str) -> int:
        """Look up a UDP port by number or name; raises `ConfigError`."""

    def endpoint(self, host: str, service: str, text: str) -> Endpoint:
        """Look up an endpoint that was written as `text`; raises `ConfigError`."""

    def warn(self, sentence: str) -> None:
        """Tell the user of something that is accepted all the same."""


def lowered(text: str) -> str:
    """Lower the case of ASCII letters: to wg(8), the Kelvin sign is no k."""
    return text.lower() if text.isascii() else text


def decimal(text: str, most: int) -> int | None:
    """Read ASCII digits, at most `most`; None if they are anything else."""
    if not (text.isascii() and text.isdigit()):
        return None
    if len(text) > MAX_DIGITS:
        text = text.lstrip("0") or "0"
        if len(text) > MAX_DIGITS:
            return None
    number = int(text)
    return number if number <= most else None


def parse_key(text: str) -> Key:
    """Read a key in base64."""
    try:
        return Key.from_base64(text)
    except KeyFormatError:
        raise ConfigError(f"Key is not the correct length or format: `{text}'") from None


def parse_port(text: str, resolver: Resolver) -> int:
    """Read a listening port: a number or a service's name."""
    if not text:
        raise ConfigError("Unable to parse empty port")
    return resolver.port(text)


def parse_fwmark(text: str) -> int:
    """Read a firewall mark: decimal, `0x` and hexadecimal, or `off`."""
    if text.lower() == "off":
        return 0
    number = decimal(text, MAX_FWMARK)
    if number is None and text.startswith("0x") and text[2:].strip(_HEXADECIMAL) == "":
        digits = text[2:].lstrip("0")
        if text[2:] and len(digits) <= _FWMARK_DIGITS:
            number = int(digits or "0", 16)
    if number is None:
        raise ConfigError(f"Fwmark is neither 0/off nor 0-0xffffffff: `{text}'")
    return number


def parse_keepalive(text: str) -> int:
    """Read a persistent keepalive interval: seconds or `off`."""
    seconds = 0 if text.lower() == "off" else decimal(text, MAX_KEEPALIVE)
    if seconds is None:
        reason = f"Persistent keepalive interval is neither 0/off nor 1-65535: `{text}'"
        raise ConfigError(reason)
    return seconds


def parse_endpoint(text: str, resolver: Resolver) -> Endpoint:
    """Split `host:port` or `[host]:port` and have the resolver look it up."""
    if not text:
        raise ConfigError("Unable to parse empty endpoint")
    if text.startswith("["):
        host, brace, rest = text[1:].partition("]")
        if not brace:
            raise ConfigError(f"Unable to find matching brace of endpoint: `{text}'")
        colon, service = rest[:1], rest[1:]
    else:
        host, colon, service = text.rpartition(":")
    if colon != ":" or not service:
        raise ConfigError(f"Unable to find port of endpoint: `{text}'")
    return resolver.endpoint(host, service, text)


class AllowedIPChanges:
    """What becomes of a peer's allowed IPs, collected in the order in which it is written."""

    __slots__ = ("_changes", "_takes_away", "replace")

    def __init__(self) -> None:
        self.replace = False
        self._changes: list[tuple[AllowedIP, bool]] = []
        self._takes_away = False

    def clear(self) -> None:
        """Begin with none, whatever there was."""
        self.replace = True
        self._changes.clear()
        self._takes_away = False

    def add(self, network: AllowedIP) -> None:
        """Allow a network."""
        self._changes.append((network, True))

    def remove(self, network: AllowedIP) -> None:
        """Take a network away, also one that was added before."""
        self._changes.append((network, False))
        self._takes_away = True

    def read(self, text: str, resolver: Resolver) -> None:
        """Read networks joined by commas; no text at all is no network.

        Together they replace what there is; with `+` or `-` before any of them they add and take
        away, as wg(8) after 2021 has it.
        """
        self.replace = True
        for entry in text.split(",") if text else []:
            sign = entry[:1]
            if sign in _SIGNS:
                self.replace = False
                entry = entry[1:]  # noqa: PLW2901  # the messages show it without its sign
            network = _allowed_ip(entry, resolver)
            if sign == "-":
                self.remove(network)
            else:
                self.add(network)

    def added(self) -> tuple[AllowedIP, ...]:
        """The networks to add, in order."""
        if not self._takes_away:
            return tuple([network for network, _ in self._changes])
        last: dict[AllowedIP, None] = {}
        for network, adds in self._changes:
            last.pop(network, None)
            if adds:
                last[network] = None
        return tuple(last)

    def removed(self) -> tuple[AllowedIP, ...]:
        """The networks to take away before the others are added, in order."""
        if not self._takes_away:
            return ()
        return tuple(dict.fromkeys(network for network, adds in self._changes if not adds))


def _allowed_ip(entry: str, resolver: Resolver) -> AllowedIP:
    host, slash, length = entry.partition("/")
    try:
        single = AllowedIP.parse(host)
    except ValueError:
        raise ConfigError(f"Unable to parse IP address: `{host}'") from None
    if not slash:
        return single
    bits = decimal(length, single.cidr)
    if bits is None:
        raise ConfigError(f"AllowedIP is not in the correct format: `{entry}'")
    network = AllowedIP.masked(single.address, bits)
    if network.address != single.address:
        resolver.warn(f"Warning: AllowedIP has nonzero host part: {host}/{length}")
    return network


_SIGNS: Final = ("+", "-")
_HEXADECIMAL: Final = "0123456789abcdefABCDEF"
_FWMARK_DIGITS: Final = 8

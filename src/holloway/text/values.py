"""Single values as wg(8) reads them, in files and on the command line alike.

A bad value is a `ConfigError` whose reason is the sentence that wg(8) prints. Names of hosts and
services are for a `Resolver` to look up; nothing here touches the network.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from holloway.errors import ConfigError, KeyFormatError
from holloway.key import Key
from holloway.model import AllowedIP, Endpoint, PeerUpdate
from holloway.text import native
from holloway.text.native import encoded, setting


class Resolver(Protocol):
    """What the reading of a configuration asks of the world outside."""

    def port(self, service: str) -> int:
        """Look up a UDP port by number or name; raises `ConfigError`."""

    def endpoint(self, host: str, service: str, text: str) -> Endpoint:
        """Look up an endpoint that was written as `text`; raises `ConfigError`."""

    def warn(self, sentence: str) -> None:
        """Tell the user of something that is accepted all the same."""


def ascii_lower(text: str) -> str:
    """Lower the case of ASCII letters: to wg(8), the Kelvin sign is no k."""
    return text.lower() if text.isascii() else text


def parse_key(text: str) -> Key:
    """Read a key in base64."""
    try:
        return Key.from_base64(text)
    except KeyFormatError:
        raise ConfigError(f"Key is not the correct length or format: `{text}'") from None


def parse_port(text: str, resolver: Resolver) -> int:
    """Read a listening port: a number or a service's name."""
    return setting(native.read_port, encoded(text), resolver)


def parse_fwmark(text: str) -> int:
    """Read a firewall mark: decimal, `0x` and hexadecimal, or `off`."""
    return setting(native.read_fwmark, encoded(text))


def parse_keepalive(text: str) -> int:
    """Read a persistent keepalive interval: seconds or `off`."""
    return setting(native.read_keepalive, encoded(text))


def parse_endpoint(text: str, resolver: Resolver) -> Endpoint:
    """Split `host:port` or `[host]:port` and have the resolver look it up."""
    return Endpoint(*setting(native.read_endpoint, encoded(text), resolver))


class AllowedIPChanges:
    """What becomes of a peer's allowed IPs, collected in the order in which it is written."""

    def __init__(self) -> None:
        self._changes = native.Changes()

    def read(self, text: str, resolver: Resolver) -> None:
        """Read networks joined by commas; no text at all is no network.

        Together they replace what there is; with `+` or `-` before any of them they add and take
        away, as wg(8) after 2021 has it.
        """
        setting(self._changes.read, encoded(text), resolver)

    def applied(self, update: PeerUpdate) -> PeerUpdate:
        """Return `update` with these changes; it is the end of them."""
        replaced, removed, added = self._changes.result()
        return replace(
            update,
            replace_allowed_ips=replaced,
            removed_allowed_ips=tuple(map(AllowedIP._make, removed)),
            allowed_ips=tuple(map(AllowedIP._make, added)),
        )

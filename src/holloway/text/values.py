"""Single values as wg(8) parses them, in files and on the command line.

A bad value raises `ConfigError`, whose reason is the message of wg(8). A `Resolver` looks up names
of hosts and services; nothing here uses the network.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from holloway.errors import ConfigError, KeyFormatError
from holloway.key import Key
from holloway.model import AllowedIP, Endpoint, PeerUpdate
from holloway.text import native
from holloway.text.native import encoded, setting

if TYPE_CHECKING:
    from holloway.text.resolver import Resolver


def ascii_lower(text: str) -> str:
    """Convert ASCII letters to lower case: for wg(8), the Kelvin sign is not a k."""
    return text.lower() if text.isascii() else text


def parse_key(text: str) -> Key:
    """Parse a key in base64."""
    try:
        return Key.from_base64(text)
    except KeyFormatError:
        raise ConfigError(f"Key is not the correct length or format: `{text}'") from None


def parse_port(text: str, resolver: Resolver) -> int:
    """Parse a listening port: a number or the name of a service."""
    return setting(native.read_port, encoded(text), resolver)


def parse_fwmark(text: str) -> int:
    """Parse a firewall mark: decimal, `0x` and hexadecimal, or `off`."""
    return setting(native.read_fwmark, encoded(text))


def parse_keepalive(text: str) -> int:
    """Parse a persistent keepalive interval: seconds or `off`."""
    return setting(native.read_keepalive, encoded(text))


def parse_endpoint(text: str, resolver: Resolver) -> Endpoint:
    """Split `host:port` or `[host]:port` and look it up with the resolver."""
    return Endpoint(*setting(native.read_endpoint, encoded(text), resolver))


class AllowedIPChanges:
    """The changes of a peer's allowed IPs, collected in the order of the text."""

    def __init__(self) -> None:
        self._changes = native.Changes()

    def read(self, text: str, resolver: Resolver) -> None:
        """Parse networks separated by commas, none in an empty text.

        They replace the present ones; with `+` or `-` before any of them they are added or removed,
        as with wg(8) after 2021.
        """
        setting(self._changes.read, encoded(text), resolver)

    def applied(self, update: PeerUpdate) -> PeerUpdate:
        """Return `update` with these changes, and forget them."""
        replaced, removed, added = self._changes.result()
        return replace(
            update,
            replace_allowed_ips=replaced,
            removed_allowed_ips=tuple(map(AllowedIP._make, removed)),
            allowed_ips=tuple(map(AllowedIP._make, added)),
        )

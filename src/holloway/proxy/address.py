"""Addresses as users write them: a host, by name or number, and a port."""

from __future__ import annotations

import re
from typing import Final

from holloway.errors import ConfigError

Address = tuple[str, int]
"""A host, by name or number, and a port; an empty host is all addresses."""


def parse_address(text: str, *, key: str | None = None, line: int | None = None) -> Address:
    """Parse `host:port` or `[address]:port`; raises `ConfigError`."""
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found[3]) > MAX_PORT:
        raise ConfigError(f"`{text}' is not HOST:PORT", key=key, line=line)
    return found[1] or found[2] or "", int(found[3])


def format_address(address: Address) -> str:
    """Write an address as `host:port`, IPv6 in brackets."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


MAX_PORT: Final = 0xFFFF
_ADDRESS: Final = re.compile(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\s\[\]:]*)):([0-9]{1,5})", re.ASCII)

"""Numeric addresses, as people and resolvers write them."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address


@lru_cache(maxsize=256)
def numeric(host: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a text is, an IPv6 one perhaps with a zone; None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None

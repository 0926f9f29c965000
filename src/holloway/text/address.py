"""Numeric IP addresses in the notations of people and resolvers."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address


@lru_cache(maxsize=256)
def numeric(host: str) -> IPv4Address | IPv6Address | None:
    """Parse an IP address, IPv6 also with a zone; return None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None

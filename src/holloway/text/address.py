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


def is_localhost(name: str) -> bool:
    """Whether a name is for the host itself, and no question for name servers (RFC 6761, 6.3)."""
    label = name.lower().removesuffix(".")
    return label == "localhost" or label.endswith(".localhost")


def site(address: IPv4Address | IPv6Address) -> IPv4Address | int:
    """Return an IPv4 address itself, or the /64 of an IPv6 address: one host may have all of it."""
    return address if isinstance(address, IPv4Address) else int(address) >> 64

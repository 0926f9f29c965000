"""Ports of the host that lead to a program inside a tunnel: `holloway run -p`."""

from __future__ import annotations

from holloway.errors import ConfigError
from holloway.net.network import Network
from holloway.proxy.address import MAX_PORT, parse_address
from holloway.proxy.settings import UDP_IDLE_TIMEOUT, ForwardPort


def parse_publication(text: str) -> ForwardPort:
    """Parse `[ADDRESS:]PORT:INSIDE[/udp]`; without an address, of 127.0.0.1. Raises ConfigError."""
    rest, _, kind = text.partition("/")
    outside, _, inside = rest.rpartition(":")
    is_port = inside.isascii() and inside.isdigit() and 0 < int(inside) <= MAX_PORT
    if not outside or not is_port or kind.lower() not in {"", "tcp", "udp"}:
        raise ConfigError(f"`{text}' is not [ADDRESS:]PORT:INSIDE[/udp]", key="--publish")
    bind = parse_address(outside if ":" in outside else f"127.0.0.1:{outside}", key="--publish")
    is_udp = kind.lower() == "udp"
    return ForwardPort(
        bind, (INSIDE, int(inside)), is_udp=is_udp, idle=UDP_IDLE_TIMEOUT if is_udp else 0.0
    )


class ProgramNetwork(Network):
    """A network in which the host `INSIDE` is the program inside, wherever it listens."""

    async def resolve(self, host: str, *, family: int = 0) -> list[str]:
        if host == INSIDE:
            return [*self.addresses, *LOOPBACK]
        return await super().resolve(host, family=family)


INSIDE = "inside"
LOOPBACK = ("127.0.0.1", "::1")

"""Ports of the host that lead to a program inside a tunnel, as `holloway run -p` names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holloway.errors import ConfigError
from holloway.proxy.settings import UDP_IDLE_TIMEOUT, ForwardPort, parse_address
from holloway.proxy.tunnel_network import TunnelNetwork

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from socket import socket

    from holloway.net.network import Network
    from holloway.proxy.networks import Address, AnyProtocol


def parse_publication(text: str) -> ForwardPort:
    """Read `[ADDRESS:]PORT:INSIDE[/udp]`; raises ConfigError. Without an address it is loopback."""
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


class ProgramNetwork(TunnelNetwork):
    """The program inside, wherever it listens: a `ProxyNetwork` with but one host."""

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self._own = network.addresses

    async def connect(self, host: str, port: int) -> socket:
        del host
        failure: OSError = ConnectionRefusedError()
        for address in (*self._own, *LOOPBACK):
            try:
                return await super().connect(address, port)
            except OSError as error:  # nobody there, or no such family
                failure = error
        raise failure

    async def create_datagram_endpoint(
        self,
        factory: Callable[[], AnyProtocol],
        *,
        local_addr: Address | None = None,
        remote_addr: Address | None = None,
    ) -> tuple[asyncio.DatagramTransport, AnyProtocol]:
        if remote_addr is not None:
            remote_addr = (self._own[0], remote_addr[1])
        return await super().create_datagram_endpoint(
            factory, local_addr=local_addr, remote_addr=remote_addr
        )


INSIDE = "inside"
LOOPBACK = ("127.0.0.1", "::1")
MAX_PORT = 65_535

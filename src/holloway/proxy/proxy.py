"""A whole proxy: opens the ports that the settings name, and closes them.

Knows the two networks only as `ProxyNetwork`s, so that a test may use any two.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from holloway.proxy.acceptor import Acceptor
from holloway.proxy.address import format_address
from holloway.proxy.connection_log import ConnectionLog
from holloway.proxy.flows import FlowLimits
from holloway.proxy.forward import DatagramForward, Forward
from holloway.proxy.http_service import Http
from holloway.proxy.limits import HEALTH_CONNECTIONS, ConnectionLimits
from holloway.proxy.relay import Relay
from holloway.proxy.settings import ForwardPort, HttpPort, Socks5Port
from holloway.proxy.socks5_service import Socks5

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from holloway.proxy.acceptor import Service
    from holloway.proxy.address import Address
    from holloway.proxy.networks import ProxyNetwork
    from holloway.proxy.settings import Port

LOCAL: Final = ("localhost", "::1")
EVERYWHERE: Final = ("", "0.0.0.0", "::")  # noqa: S104  # compared with, not listened on
BACKLOG: Final = 1024


class Proxy:
    """Serves ports between `host` and `tunnel`. Make it inside the event loop that uses it."""

    def __init__(
        self, host: ProxyNetwork, tunnel: ProxyNetwork, *, max_connections: int | None = None
    ) -> None:
        self._host = host
        self._tunnel = tunnel
        self._relay = Relay()
        self.connection_log = ConnectionLog(self._relay.moved)
        self.limits = ConnectionLimits(max_connections=max_connections)
        self.health_limits = ConnectionLimits(max_connections=HEALTH_CONNECTIONS)
        self.flow_limits = FlowLimits(self.limits)
        self.acceptors: list[Acceptor] = []
        self._forwards: list[DatagramForward] = []

    async def open(self, ports: Iterable[Port]) -> list[str]:
        """Open ports and return a line about each; closes all of them if one raises OSError."""
        try:
            return [line for port in ports for line in await self._open(port)]
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close every port and reset every connection."""
        for acceptor in self.acceptors:
            await acceptor.close()
        for forward in self._forwards:
            forward.close()
        self._relay.close()

    async def serve(
        self,
        network: ProxyNetwork,
        bind: Address,
        service: Service,
        limits: ConnectionLimits | None = None,
    ) -> list[Address]:
        """Serve on an address; returns where it listens. `limits` are not those of all others."""
        host, port = bind
        limits = limits or self.limits
        with _naming(bind):
            listeners = await network.listen_on([host] if host else [], port, backlog=BACKLOG)
        self.acceptors += [
            Acceptor(
                listener,
                service,
                limits.add_listener(network.source_of),
                self._relay,
                self.connection_log,
            )
            for listener in listeners
        ]
        return [listener.address[:2] for listener in listeners]

    async def _open(self, port: Port) -> list[str]:
        match port:
            case Socks5Port(bind, login):
                service = Socks5(self._tunnel, login, self.connection_log, self.flow_limits)
                return describe(port, await self.serve(self._host, bind, service))
            case HttpPort(bind, login):
                http = Http(self._tunnel, login)
                return describe(port, await self.serve(self._host, bind, http))
            case ForwardPort(is_udp=True):
                return await self._open_datagrams(port)
            case ForwardPort(bind, target):
                ingress, egress = self._networks(port)
                forward = Forward(egress, target, "reverse" if port.is_reverse else "forward")
                return describe(port, await self.serve(ingress, bind, forward))

    async def _open_datagrams(self, port: ForwardPort) -> list[str]:
        networks = self._networks(port)
        forward = DatagramForward(networks, port, self.connection_log, self.flow_limits)
        self._forwards.append(forward)
        with _naming(port.bind):
            await networks[0].create_datagram_endpoint(lambda: forward, local_addr=port.bind)
        return describe(port, [forward.address])

    def _networks(self, port: ForwardPort) -> tuple[ProxyNetwork, ProxyNetwork]:
        networks = (self._host, self._tunnel)
        return (networks[1], networks[0]) if port.is_reverse else networks


@contextmanager
def _naming(bind: Address) -> Iterator[None]:
    """Name the address that cannot be listened on."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, format_address(bind)) from None


def describe(port: Port, found: list[Address]) -> list[str]:
    """Say in a line for each address what is served there."""
    match port:
        case Socks5Port(login=login):
            return _describe_proxy("SOCKS5", found, login)
        case HttpPort(login=login):
            return _describe_proxy("HTTP proxy", found, login)
        case ForwardPort():
            return [line for each in found for line in _describe_forward(port, each)]


def _describe_proxy(what: str, found: list[Address], login: object) -> list[str]:
    lines = [f"{what} on {format_address(address)}" for address in found]
    if login is None:
        lines += [
            f"Warning: whoever reaches {format_address(address)} can use the tunnel: set a password"
            for address in found
            if not (address[0].startswith("127.") or address[0] in LOCAL)
        ]
    return lines


def _describe_forward(port: ForwardPort, found: Address) -> list[str]:
    kind = "UDP" if port.is_udp else "TCP"
    here, there = ("the tunnel's ", "") if port.is_reverse else ("", " in the tunnel")
    bind, target = format_address(found), format_address(port.target)
    lines = [f"{kind} {here}{bind} leads to {target}{there}"]
    if not port.is_reverse and found[0] in EVERYWHERE:
        lines.append(f"Warning: whoever reaches this host can use {kind} {bind}: name 127.0.0.1")
    return lines

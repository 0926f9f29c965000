"""A whole proxy: opens what the settings name, and closes it again.

Knows the two sides only as such, so that a test may put any two networks around it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holloway.proxy.door import Door, House
from holloway.proxy.forward import DatagramForward, Forward
from holloway.proxy.http_service import Http
from holloway.proxy.journal import Journal
from holloway.proxy.relay import Relay
from holloway.proxy.settings import ForwardPort, HttpPort, Socks5Port
from holloway.proxy.side import show
from holloway.proxy.socks5_service import Socks5

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holloway.proxy.door import Service
    from holloway.proxy.settings import Port
    from holloway.proxy.side import Address, Side

LOCAL: Final = ("localhost", "::1")


class Proxy:
    """Serves ports between `host` and `tunnel`. Make it inside the event loop that is to use it."""

    def __init__(self, host: Side, tunnel: Side, *, most: int | None = None) -> None:
        self._host = host
        self._tunnel = tunnel
        self._relay = Relay()
        self.journal = Journal(self._relay.moved)
        self.house = House(self._relay, self.journal, most=most)
        self.doors: list[Door] = []
        self._forwards: list[DatagramForward] = []

    async def open(self, ports: Iterable[Port]) -> list[str]:
        """Open ports and say what they are; raises OSError, and what was opened is closed again."""
        try:
            return [line for port in ports for line in await self._open(port)]
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close every port and reset every connection."""
        for door in self.doors:
            await door.close()
        for forward in self._forwards:
            forward.close()
        self._relay.close()

    async def serve(self, side: Side, bind: Address, service: Service) -> list[Address]:
        """Listen with a service; return where."""
        listeners = await side.listen(*bind)
        self.doors += [Door(listener, service, self.house) for listener in listeners]
        return [listener.address for listener in listeners]

    async def _open(self, port: Port) -> list[str]:
        match port:
            case Socks5Port(bind, login):
                service = Socks5(self._tunnel, login, self.journal)
                return _tell("SOCKS5", await self.serve(self._host, bind, service), login)
            case HttpPort(bind, login):
                http = Http(self._tunnel, login)
                return _tell("HTTP proxy", await self.serve(self._host, bind, http), login)
            case ForwardPort(is_udp=True):
                return await self._open_datagrams(port)
            case ForwardPort(bind, target):
                near, far = self._sides(port)
                forward = Forward(far, target, "reverse" if port.is_reverse else "forward")
                found = await self.serve(near, bind, forward)
        return [_way(port, each) for each in found]

    async def _open_datagrams(self, port: ForwardPort) -> list[str]:
        near, far = self._sides(port)
        forward = DatagramForward(far, port.target, self.journal, port.idle)
        self._forwards.append(forward)
        await near.create_datagram_endpoint(lambda: forward, local_addr=port.bind)
        return [_way(port, forward.address)]

    def _sides(self, port: ForwardPort) -> tuple[Side, Side]:
        sides = (self._host, self._tunnel)
        return (sides[1], sides[0]) if port.is_reverse else sides


def _tell(what: str, found: list[Address], login: object) -> list[str]:
    lines = [f"{what} on {show(address)}" for address in found]
    if login is None:
        lines += [
            f"Warning: whoever reaches {show(address)} can use the tunnel: set a password"
            for address in found
            if not (address[0].startswith("127.") or address[0] in LOCAL)
        ]
    return lines


def _way(port: ForwardPort, found: Address) -> str:
    kind = "UDP" if port.is_udp else "TCP"
    here, there = ("the tunnel's ", "") if port.is_reverse else ("", "in the tunnel")
    return f"{kind} {here}{show(found)} leads to {show(port.target)} {there}".rstrip()

"""Two sides that reach each other, by plain sockets or in a tunnel of either stack."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holloway import Endpoint
from holloway.net.blocking import BlockingNetwork
from net.pair import FIRST, SECOND, network, new_key, peer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KINDS = ("plain", "kernel", "userspace")


@dataclass(frozen=True)
class Side:
    """One side: its sockets, and its addresses by family."""

    make: Callable[[int, int], socket.socket]
    hosts: dict[int, str]

    def new(self, family: int = socket.AF_INET, kind: int = socket.SOCK_STREAM) -> socket.socket:
        """A socket; a call of it that hangs fails in time."""
        made = self.make(family, kind)
        made.settimeout(20)
        return made

    def udp(self, family: int = socket.AF_INET) -> socket.socket:
        return self.new(family, socket.SOCK_DGRAM)

    def listener(self, family: int = socket.AF_INET) -> socket.socket:
        """A socket that listens on this side's address of a family, on any port."""
        made = self.new(family)
        made.bind((self.hosts[family], 0))
        made.listen()
        return made


@contextlib.contextmanager
def two_sides(kind: str) -> Iterator[tuple[Side, Side]]:
    """Yield a server's side and a client's."""
    if kind == "plain":
        side = Side(socket.socket, {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"})
        yield side, side
        return
    keys = new_key(), new_key()
    with BlockingNetwork(network(1, keys[0], peer(keys[1], *SECOND), stack=kind)) as first:
        there = Endpoint("127.0.0.1", first.device.listen_port)
        other = peer(keys[0], *FIRST, endpoint=there)
        with BlockingNetwork(network(2, keys[1], other, stack=kind)) as second:
            second.ping(FIRST[0])
            yield Side(first.socket, _by_family(FIRST)), Side(second.socket, _by_family(SECOND))


def _by_family(hosts: tuple[str, str]) -> dict[int, str]:
    return {socket.AF_INET: hosts[0], socket.AF_INET6: hosts[1]}

"""The routes to peers in the network namespace of the UDP sockets.

The device answers a peer from the address that the peer wrote to, and the packet leaves as the
routing table says: if by another interface, that source address is wrong for its underlay. `Routes`
asks the kernel. Knows nothing of peers; `tunnel` calls it, and loads it when a route has changed.
"""

from __future__ import annotations

import socket
from typing import Final, Protocol, Self

from holloway.netlink import rtnetlink
from holloway.netlink.route import RouteSocket


class Destination(Protocol):
    """Where a peer is."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...


class Path(Destination, Protocol):
    """Where a peer is, the local address it last wrote to, and the interface where that came."""

    @property
    def local(self) -> str | None: ...
    @property
    def interface(self) -> int | None: ...


class Routes:
    """The routes of packets from one port, with one mark; a context manager."""

    def __init__(self, port: int, mark: int) -> None:
        self._kernel = RouteSocket()
        self._flow = rtnetlink.flow(mark, port)
        self._addresses = {(found.link, found.address) for found in self._kernel.address_messages()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._kernel.__exit__()

    def is_symmetric(self, path: Path) -> bool | None:
        """Whether packets sent by this path leave where the peer's came in; None if unknown.

        It is unknown where the address belongs to another interface, as a router's own on `lo`,
        which is as good by any underlay; and where there is no route, for then no packet leaves.
        """
        assert path.local is not None
        local = _packed(path.local)
        if (path.interface, local) not in self._addresses:
            return None
        try:
            remote = _packed(path.host)
        except OSError:
            return None  # it has a zone, and packets leave by that link
        flow = self._flow + rtnetlink.destination_port(path.port)
        found = self._kernel.path_of(remote, local, flow)
        return None if found is None else found.link in (path.interface, LOOPBACK)

    def is_reachable(self, endpoint: Destination) -> bool:
        """Whether there is a route to an endpoint, from whatever address of ours."""
        try:
            remote = _packed(endpoint.host)
        except OSError:
            return True  # it has a zone, which is the route
        flow = self._flow + rtnetlink.destination_port(endpoint.port)
        return self._kernel.path_of(remote, flow=flow) is not None


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


LOOPBACK: Final = 1  # LOOPBACK_IFINDEX (net/flow.h): the peer is on this host, and no path is wrong

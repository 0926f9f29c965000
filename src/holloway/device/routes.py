"""The routes to peers, as the network namespace of the UDP sockets has them.

A peer is answered from the address that it wrote to, and by the way that the routing table says:
where that leads out of another interface, the address belongs to the wrong road. `watch` tells when
that may have changed, and `Routes` asks the kernel. Knows nothing of peers; `tunnel` calls it.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator
from typing import Final, Protocol, Self

from holloway.control import netlink
from holloway.control.netlink import DUMP, ROUTE, NetlinkSocket, attribute, attributes


class Path(Protocol):
    """Where a peer is, the local address it last wrote to, and the interface where that came."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def local(self) -> str | None: ...
    @property
    def interface(self) -> int | None: ...


def watch() -> socket.socket:
    """Open a socket that is readable once routes, rules, addresses or links have changed."""
    return netlink.watch(GROUPS)


class Routes:
    """A look at the routes of packets from one port, with one mark; a context manager."""

    def __init__(self, port: int, mark: int) -> None:
        self._kernel = NetlinkSocket(ROUTE)
        self._flow = (
            attribute(RTA_MARK, struct.pack("=I", mark))
            + attribute(RTA_IP_PROTO, bytes([socket.IPPROTO_UDP]))
            + attribute(RTA_SPORT, struct.pack(">H", port))
        )
        self._addresses = set(self._assigned())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._kernel.__exit__()

    def is_symmetric(self, path: Path) -> bool | None:
        """Whether what is sent by this path leaves where it came from; None: that says nothing.

        Nothing is said where the address is another interface's, as a router's own on `lo`, which
        is as good by any road. Nor where there is no route, for then no packet leaves.
        """
        assert path.local is not None
        local = _packed(path.local)
        if (path.interface, local) not in self._addresses:
            return None
        try:
            found = self._interface(_packed(path.host), path.port, local)
        except OSError:
            return None
        return found in (path.interface, LOOPBACK)

    def _interface(self, remote: bytes, port: int, local: bytes) -> int | None:
        """Ask for a route as for a packet (rtnetlink(7), RTM_GETROUTE)."""
        bits = 8 * len(remote)
        question = ROUTE_MESSAGE.pack(_family(remote), bits, bits, 0, 0, 0, 0, 0, 0)
        question += attribute(RTA_DST, remote) + attribute(RTA_SRC, local) + self._flow
        question += attribute(RTA_DPORT, struct.pack(">H", port))
        for answer in self._kernel.request(RTM_GETROUTE, question):
            for kind, value in attributes(answer[ROUTE_MESSAGE.size :]):
                if kind == RTA_OIF:
                    return int.from_bytes(value, sys.byteorder)
        return None

    def _assigned(self) -> Iterator[tuple[int, bytes]]:
        """Dump the addresses of all interfaces; raises OSError (EINTR: they change, look again)."""
        for answer in self._kernel.request(RTM_GETADDR, ADDRESS_MESSAGE.pack(0, 0, 0, 0, 0), DUMP):
            *_, interface = ADDRESS_MESSAGE.unpack_from(answer)
            found = dict(attributes(answer[ADDRESS_MESSAGE.size :]))
            # The far end of a point-to-point link is IFA_ADDRESS, where there is IFA_LOCAL.
            address = found.get(IFA_LOCAL) or found.get(IFA_ADDRESS)
            if address is not None:
                yield interface, address


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def _family(packed: bytes) -> int:
    return socket.AF_INET if len(packed) == 4 else socket.AF_INET6


# linux/rtnetlink.h
ROUTE_MESSAGE: Final = struct.Struct("=BBBBBBBBI")
RTM_GETADDR: Final = 22
RTM_GETROUTE: Final = 26
RTA_DST: Final = 1
RTA_SRC: Final = 2
RTA_OIF: Final = 4
RTA_MARK: Final = 16
RTA_IP_PROTO: Final = 27  # it and the ports are passed over by kernels before 4.18
RTA_SPORT: Final = 28
RTA_DPORT: Final = 29
GROUPS: Final = (
    0x1  # RTMGRP_LINK
    | 0x10  # RTMGRP_IPV4_IFADDR
    | 0x40  # RTMGRP_IPV4_ROUTE
    | 0x80  # RTMGRP_IPV4_RULE
    | 0x100  # RTMGRP_IPV6_IFADDR
    | 0x400  # RTMGRP_IPV6_ROUTE
    | 0x40000  # RTNLGRP_IPV6_RULE
)
# linux/if_addr.h
ADDRESS_MESSAGE: Final = struct.Struct("=BBBBI")
IFA_ADDRESS: Final = 1
IFA_LOCAL: Final = 2
LOOPBACK: Final = 1  # LOOPBACK_IFINDEX (net/flow.h): the peer is on this host, and no road is wrong

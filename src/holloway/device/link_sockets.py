"""The sockets of a device in the network namespace where its interface is.

Opening them takes rights over that namespace, because it may be another one than the device's.
`privileged` calls this; the device gets the sockets. Knows nothing of peers or packets.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, NamedTuple

from holloway.netlink.groups import RTMGRP_LINK
from holloway.netlink.socket import NETLINK_NETFILTER, Watch

if TYPE_CHECKING:
    from collections.abc import Callable

CLONE_NEWNET: Final = 0x40000000  # linux/sched.h
TUNGETDEVNETNS: Final = 0x54E3  # linux/if_tun.h
SOL_RAW: Final = 255
ICMP_FILTER: Final = 1  # linux/icmp.h
ICMP6_FILTER: Final = 1  # linux/icmpv6.h; its level is IPPROTO_ICMPV6


class LinkSockets(NamedTuple):
    """A watch of the links, raw ICMP sockets, and a socket for connection tracking.

    Those of ICMP and connection tracking only send. One that the system refuses (no CAP_NET_RAW, no
    IPv6, no netfilter) is None.
    """

    watch: Watch
    v4: socket.socket | None
    v6: socket.socket | None
    conntrack: socket.socket | None

    def icmp_filenos(self) -> tuple[int | None, int | None, int | None]:
        """IPv4, IPv6, connection tracking: as `Plane.set_icmp_sockets` takes them."""
        v4, v6, conntrack = (
            None if opened is None else opened.fileno() for opened in self.icmp_sockets()
        )
        return v4, v6, conntrack

    def icmp_sockets(self) -> tuple[socket.socket | None, ...]:
        """Return those of ICMP and connection tracking."""
        return self.v4, self.v6, self.conntrack

    def close_icmp(self) -> None:
        """Close those of ICMP and connection tracking."""
        for opened in self.icmp_sockets():
            if opened is not None:
                opened.close()


def open_link_sockets(tun: int, entered: Callable[[], None] = lambda: None) -> LinkSockets:
    """Open them where the interface of a TUN descriptor is now; raises OSError.

    `entered` is called while this thread is in that namespace.
    """
    with ExitStack() as stack:
        there = fcntl.ioctl(tun, TUNGETDEVNETNS, 0)
        stack.callback(os.close, there)
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, here)
        # To enter a namespace takes CAP_SYS_ADMIN, which a container may not have.
        if not os.path.sameopenfile(there, here):
            _enter(there)
            stack.callback(_enter, here)
        opened = LinkSockets(
            Watch(RTMGRP_LINK),
            _open(socket.AF_INET, socket.IPPROTO_ICMP),
            _open(socket.AF_INET6, socket.IPPROTO_ICMPV6),
            _open(socket.AF_NETLINK, NETLINK_NETFILTER),
        )
        # Else they would receive a copy of every ICMP message: block every type.
        if opened.v4 is not None:
            opened.v4.setsockopt(SOL_RAW, ICMP_FILTER, b"\xff" * 4)
        if opened.v6 is not None:
            opened.v6.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, b"\xff" * 32)
        entered()
        return opened


def _open(family: int, protocol: int) -> socket.socket | None:
    try:
        return socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
    except OSError:
        return None


def _enter(namespace: int) -> None:
    """Move this thread into a network namespace (os.setns exists from Python 3.12 on)."""
    if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))

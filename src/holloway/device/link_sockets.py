"""The sockets of a device in the network namespace where its interface is.

Opening them takes rights over that namespace, because it may be another one than the device's.
`privileged` calls this; the device gets the sockets. Knows nothing of peers or packets, and imports
next to nothing, because a monitor does not share what it has loaded.
"""

from __future__ import annotations

import _socket
import fcntl
import os

from holloway.netlink.groups import RTMGRP_LINK
from holloway.netlink.socket import NETLINK_NETFILTER, Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

CLONE_NEWNET: Final = 0x40000000  # linux/sched.h
TUNGETDEVNETNS: Final = 0x54E3  # linux/if_tun.h
SOL_RAW: Final = 255
ICMP_FILTER: Final = 1  # linux/icmp.h
ICMP6_FILTER: Final = 1  # linux/icmpv6.h; its level is IPPROTO_ICMPV6


class LinkSockets:
    """A watch of the links, raw ICMP sockets, and a socket for connection tracking.

    Those of ICMP and connection tracking only send. One that the system refuses (no CAP_NET_RAW, no
    IPv6, no netfilter) is None.
    """

    def __init__(
        self,
        watch: Watch,
        v4: _socket.socket | None,
        v6: _socket.socket | None,
        conntrack: _socket.socket | None,
    ) -> None:
        self.watch = watch
        self.v4 = v4
        self.v6 = v6
        self.conntrack = conntrack

    def icmp_filenos(self) -> tuple[int | None, int | None, int | None]:
        """IPv4, IPv6, connection tracking: as `Plane.set_icmp_sockets` takes them."""
        v4, v6, conntrack = (
            None if opened is None else opened.fileno() for opened in self.icmp_sockets()
        )
        return v4, v6, conntrack

    def icmp_sockets(self) -> tuple[_socket.socket | None, ...]:
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
    there = fcntl.ioctl(tun, TUNGETDEVNETNS, 0)
    try:
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return _open_in(there, here, entered)
        finally:
            os.close(here)
    finally:
        os.close(there)


def _open_in(there: int, here: int, entered: Callable[[], None]) -> LinkSockets:
    # To enter a namespace takes CAP_SYS_ADMIN, which a container may not have.
    if os.path.sameopenfile(there, here):
        return _open_all(entered)
    _enter(there)
    try:
        return _open_all(entered)
    finally:
        _enter(here)


def _open_all(entered: Callable[[], None]) -> LinkSockets:
    opened = LinkSockets(
        Watch(RTMGRP_LINK),
        _open(_socket.AF_INET, _socket.IPPROTO_ICMP),
        _open(_socket.AF_INET6, _socket.IPPROTO_ICMPV6),
        _open(_socket.AF_NETLINK, NETLINK_NETFILTER),
    )
    # Else they would receive a copy of every ICMP message: block every type.
    if opened.v4 is not None:
        opened.v4.setsockopt(SOL_RAW, ICMP_FILTER, b"\xff" * 4)
    if opened.v6 is not None:
        opened.v6.setsockopt(_socket.IPPROTO_ICMPV6, ICMP6_FILTER, b"\xff" * 32)
    entered()
    return opened


def _open(family: int, protocol: int) -> _socket.socket | None:
    try:
        return _socket.socket(family, _socket.SOCK_RAW | _socket.SOCK_NONBLOCK, protocol)
    except OSError:
        return None


def _enter(namespace: int) -> None:
    """Move this thread into a network namespace (os.setns exists from Python 3.12 on)."""
    import ctypes  # loaded for an interface that has moved

    if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))

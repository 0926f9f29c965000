"""The TUN interface as the kernel sees it: shaped at birth, then watched.

`configure_tun` gives a fresh TUN the look that a WireGuard interface has. `LinkWatch` keeps its
limit of segmentation and tells of up, down, MTU and name, also after the interface was moved into
another network namespace, and `IcmpSockets` are opened there. It knows nothing of peers or
packets; `daemon` calls it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from holloway.control.netlink import drain, watch

RTMGRP_LINK: Final = 1  # linux/rtnetlink.h
RTM_SETLINK: Final = 19
NLM_F_REQUEST: Final = 1  # linux/netlink.h
IFLA_GSO_MAX_SIZE: Final = 41  # linux/if_link.h
CLONE_NEWNET: Final = 0x40000000  # linux/sched.h
IFF_UP: Final = 1  # linux/if.h
IFF_MULTICAST: Final = 0x1000
TC_H_ROOT: Final = 0xFFFFFFFF  # linux/pkt_sched.h
NO_LINK_LOCAL: Final = {"attrs": [("IFLA_INET6_ADDR_GEN_MODE", 1)]}  # IN6_ADDR_GEN_MODE_NONE
SIOCGIFFLAGS: Final = 0x8913
SIOCGIFMTU: Final = 0x8921
SIOCGIFINDEX: Final = 0x8933
TUNGETIFF: Final = 0x800454D2  # linux/if_tun.h
TUNGETDEVNETNS: Final = 0x54E3
NETLINK_NETFILTER: Final = 12  # linux/netlink.h
SOL_RAW: Final = 255
ICMP_FILTER: Final = 1  # linux/icmp.h
ICMP6_FILTER: Final = 1  # linux/icmpv6.h; its level is IPPROTO_ICMPV6

MAX_UDP_PAYLOAD: Final = 65_507
MAX_UDP_SEGMENTS: Final = 64  # linux/udp.h: UDP_MAX_SEGMENTS before 6.9; the least of any kernel
TRANSPORT_OVERHEAD: Final = 32  # header and tag of a transport message (paper, 5.4.6)
TCP_HEADERS: Final = 52  # IPv4 and TCP with timestamps: what the MTU has beyond the segment
KERNEL_TCP_RESERVE: Final = 384  # what net/ipv4/tcp.c keeps free below gso_max_size


@dataclass(frozen=True, slots=True)
class LinkState:
    """An interface at one moment."""

    name: str
    up: bool
    mtu: int


def gso_max_size(mtu: int) -> int:
    """Return the largest superpacket that one UDP GSO send carries once it is encrypted.

    A TUN read is then one `sendmsg`: without the bound TCP hands over 47 or 48 segments of the
    usual MTU, and 45 fit a datagram.
    """
    segments = min(MAX_UDP_PAYLOAD // (mtu + TRANSPORT_OVERHEAD), MAX_UDP_SEGMENTS)
    return max(min(segments * (mtu - TCP_HEADERS) + KERNEL_TCP_RESERVE, 65_536), mtu)


def configure_tun(name: str) -> None:
    """Make a TUN look like the kernel's WireGuard interface.

    No multicast, no link-local address, no queueing discipline, queue length 1000. What an older
    kernel refuses is left as it is: none of it changes what passes. A TUN never stops its queue
    (tun.c, tun_net_xmit), so a discipline would only be one more lock.
    """
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    with IPRoute() as route:
        # It may have been moved or renamed meanwhile: then there is none.
        for index in route.link_lookup(ifname=name):
            for setting in (
                {"txqlen": 1000},
                {"flags": 0, "change": IFF_MULTICAST},
                {"IFLA_AF_SPEC": {"attrs": [("AF_INET6", NO_LINK_LOCAL)]}},
            ):
                with contextlib.suppress(NetlinkError):
                    route.link("set", index=index, **setting)
            with contextlib.suppress(NetlinkError):
                route.tc("replace", kind="noqueue", index=index, parent=TC_H_ROOT)
    _disable_redirects(name)


def _disable_redirects(name: str) -> None:
    """Let the host not tell one peer to send to another directly: there is no way but through us.

    For the interface and for all, of which either would do: kernel, device.c, wg_open.
    """
    for which in (name, "all"):
        with contextlib.suppress(OSError):
            Path(f"/proc/sys/net/ipv4/conf/{which}/send_redirects").write_text("0\n")


class LinkWatch:
    """Follows one TUN by its file descriptor; `fileno` is readable when something changed.

    The netlink socket lives in the interface's namespace, and serves the ioctls too, so nothing
    is parsed: any link message means "look again". `namespace_entered` is called within that
    namespace, at once and after every move. Whenever the MTU is another one, the interface's
    segmentation limit is set to what `gso_max_size` says. Raises OSError (EBADFD) once the
    interface is gone.
    """

    def __init__(self, tun: int, namespace_entered: Callable[[], None] = lambda: None) -> None:
        self._tun = tun
        self._namespace_entered = namespace_entered
        self._gso_mtu = 0
        self._netlink = self._open()

    def fileno(self) -> int:
        return self._netlink.fileno()

    def close(self) -> None:
        self._netlink.close()

    def state(self) -> LinkState:
        """Drain what woke us and read the interface's name, flags and MTU.

        After a move between namespaces `fileno` is another one.
        """
        drain(self._netlink)
        try:
            return self._read()
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
        self._netlink.close()
        self._netlink = self._open()
        self._gso_mtu = 0
        return self._read()

    def _read(self) -> LinkState:
        request = fcntl.ioctl(self._tun, TUNGETIFF, bytes(40))
        raw_name = request[:16]
        flags = fcntl.ioctl(self._netlink, SIOCGIFFLAGS, struct.pack("16sH22x", raw_name, 0))
        mtu = self._number(SIOCGIFMTU, raw_name)
        if mtu != self._gso_mtu:
            self._set_gso_max_size(self._number(SIOCGIFINDEX, raw_name), mtu)
        return LinkState(
            name=raw_name.rstrip(b"\0").decode(),
            up=bool(struct.unpack_from("H", flags, 16)[0] & IFF_UP),
            mtu=mtu,
        )

    def _number(self, request: int, raw_name: bytes) -> int:
        """Ask one of the ioctls that fill in an int."""
        answer = fcntl.ioctl(self._netlink, request, struct.pack("16si20x", raw_name, 0))
        number: int = struct.unpack_from("i", answer, 16)[0]
        return number

    def _set_gso_max_size(self, index: int, mtu: int) -> None:
        """Ask for the limit that goes with an MTU; no answer is asked for, as none would help."""
        attribute = struct.pack("=HHI", 8, IFLA_GSO_MAX_SIZE, gso_max_size(mtu))
        link = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, 0, 0)
        body = link + attribute
        header = struct.pack("=IHHII", 16 + len(body), RTM_SETLINK, NLM_F_REQUEST, 0, 0)
        with contextlib.suppress(OSError):
            self._netlink.sendto(header + body, (0, 0))
        self._gso_mtu = mtu

    def _open(self) -> socket.socket:
        """Open a netlink socket in the namespace where the interface is now."""
        there = fcntl.ioctl(self._tun, TUNGETDEVNETNS, 0)
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(there)
            try:
                self._namespace_entered()
                return watch(RTMGRP_LINK)
            finally:
                _enter(here)
        finally:
            os.close(there)
            os.close(here)


class IcmpSockets:
    """Raw ICMP sockets and one to connection tracking, in the namespace where this is made.

    They only send. What the system refuses (no CAP_NET_RAW, no IPv6, no netfilter) is None.
    """

    def __init__(self) -> None:
        self._v4 = _open(socket.AF_INET, socket.IPPROTO_ICMP)
        self._v6 = _open(socket.AF_INET6, socket.IPPROTO_ICMPV6)
        self._conntrack = _open(socket.AF_NETLINK, NETLINK_NETFILTER)
        # They would be given a copy of every ICMP message else: block every type.
        if self._v4 is not None:
            self._v4.setsockopt(SOL_RAW, ICMP_FILTER, b"\xff" * 4)
        if self._v6 is not None:
            self._v6.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, b"\xff" * 32)

    def filenos(self) -> tuple[int | None, int | None, int | None]:
        """IPv4, IPv6, connection tracking: as `Plane.set_icmp_sockets` takes them."""
        v4, v6, conntrack = (
            None if opened is None else opened.fileno()
            for opened in (self._v4, self._v6, self._conntrack)
        )
        return v4, v6, conntrack

    def close(self) -> None:
        for opened in (self._v4, self._v6, self._conntrack):
            if opened is not None:
                opened.close()


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

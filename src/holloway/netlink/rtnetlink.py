"""The messages of rtnetlink(7): links, addresses, routes, rules, queueing disciplines. Pure.

Addresses are packed, interfaces are given by index, tables by number. Functions that read raise
`OSError` (EPROTO) for bytes that are no such message. `route` sends these; a device asks for
routes with them too. Imports next to nothing, because `wg` starts with it.
"""

from __future__ import annotations

import _socket
import struct

from holloway.netlink.attributes import (
    attribute,
    attributes,
    header,
    nest,
    number,
    protocol_error,
    string,
    text,
    u32,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final


class LinkMessage:
    """A network device; `kind` is `wireguard`, `tun` and the like."""

    __slots__ = ("index", "kind", "mtu", "name")

    def __init__(self, payload: bytes) -> None:
        (_, _, index, _, _), found = header(IFINFOMSG, payload)
        if IFLA_IFNAME not in found:
            raise protocol_error()
        kind = dict(attributes(found.get(IFLA_LINKINFO, b""))).get(IFLA_INFO_KIND)
        self.index: int = index
        self.name = string(found[IFLA_IFNAME])
        self.mtu = number(found.get(IFLA_MTU)) or 0
        self.kind = None if kind is None else string(kind)


class AddressMessage:
    """An address of a link; `protocol` says who gave it, where the kernel knows."""

    __slots__ = ("address", "length", "link", "protocol")

    def __init__(self, payload: bytes) -> None:
        (family, length, _, _, link), found = header(IFADDRMSG, payload)
        # Of a point-to-point link, IFA_LOCAL is our end and IFA_ADDRESS the other one.
        self.address = _address(family, found.get(IFA_LOCAL) or found.get(IFA_ADDRESS))
        self.length: int = _length(self.address, length)
        self.link: int = link
        self.protocol = number(found.get(IFA_PROTO))


class RouteMessage:
    """A route: destination, table, who made it (`protocol`), link and MTU of its own."""

    __slots__ = ("address", "is_unicast", "length", "link", "mtu", "protocol", "table")

    def __init__(self, payload: bytes) -> None:
        (family, length, _, _, table, protocol, _, kind, _), found = header(RTMSG, payload)
        metrics = dict(attributes(found.get(RTA_METRICS, b"")))
        self.is_unicast: bool = kind == RTN_UNICAST
        # A default route carries no destination. Multicast routes are of other families.
        self.address = _address(family, found.get(RTA_DST, bytes(_SIZES.get(family, 0))))
        self.length: int = _length(self.address, length)
        self.table: int = number(found.get(RTA_TABLE)) or table
        self.protocol: int = protocol
        self.link = number(found.get(RTA_OIF))
        self.mtu = number(metrics.get(RTAX_MTU))


class RuleMessage:
    """A rule of policy routing; `is_other` if it has a condition besides the mark."""

    __slots__ = ("inverted", "is_other", "mark", "priority", "suppressed_length", "table")

    def __init__(self, payload: bytes) -> None:
        (*_, action, flags), found = header(FIB_RULE_HDR, payload)
        self.table = number(found.get(FRA_TABLE)) or 0
        self.mark = number(found.get(FRA_FWMARK))
        self.inverted = bool(flags & FIB_RULE_INVERT)
        self.priority = number(found.get(FRA_PRIORITY)) or 0
        self.suppressed_length = number(found.get(FRA_SUPPRESS_PREFIXLEN))
        self.is_other = action != FR_ACT_TO_TBL or not _OTHER_CONDITIONS.isdisjoint(found)


def link(index: int = 0, flags: int = 0, change: int = 0, *more: bytes) -> bytes:
    """Write a message about a link, with attributes."""
    return IFINFOMSG.pack(_socket.AF_UNSPEC, 0, index, flags, change) + b"".join(more)


def is_down(payload: bytes, of: int) -> bool:
    """Whether a message about a link says that this one is down; raises OSError."""
    (_, _, index, flags, _), _ = header(IFINFOMSG, payload)
    return index == of and not flags & IFF_UP


def link_name(name: str) -> bytes:
    """Write the attribute that names a link."""
    return text(IFLA_IFNAME, name)


def link_kind(kind: str) -> bytes:
    """Write the attribute with the kind of a new link."""
    return nest(IFLA_LINKINFO, [text(IFLA_INFO_KIND, kind)])


def no_link_local() -> bytes:
    """Write the attribute that keeps the kernel from giving a link IPv6 addresses."""
    mode = attribute(IFLA_INET6_ADDR_GEN_MODE, bytes([IN6_ADDR_GEN_MODE_NONE]))
    return nest(IFLA_AF_SPEC, [nest(_socket.AF_INET6, [mode])])


def address(index: int, packed: bytes = b"", length: int = 0) -> bytes:
    """Write a message about an address of a link; without an address, about all of the link's."""
    if not packed:
        return IFADDRMSG.pack(_socket.AF_UNSPEC, 0, 0, 0, index)
    start = IFADDRMSG.pack(family_of(packed), length, 0, 0, index)
    return start + attribute(IFA_LOCAL, packed) + attribute(IFA_ADDRESS, packed)


def new_route(index: int, packed: bytes, length: int, table: int) -> bytes:
    """Write a route into a link, as `ip route add NETWORK dev NAME table TABLE` does."""
    scope = RT_SCOPE_LINK if len(packed) == 4 else RT_SCOPE_UNIVERSE
    return _route(index, packed, length, table, scope)


def old_route(index: int, packed: bytes, length: int, table: int) -> bytes:
    """Write what `ip route delete NETWORK dev NAME table TABLE` does; RTPROT_BOOT is required."""
    return _route(index, packed, length, table, RT_SCOPE_NOWHERE)


def _route(index: int, packed: bytes, length: int, table: int, scope: int) -> bytes:
    # A table beyond a byte goes into its attribute, RT_TABLE_COMPAT into the header.
    of_header = table if table <= 0xFF else RT_TABLE_COMPAT
    family = family_of(packed)
    start = RTMSG.pack(family, length, 0, 0, of_header, RTPROT_BOOT, scope, RTN_UNICAST, 0)
    return start + attribute(RTA_DST, packed) + u32(RTA_OIF, index) + u32(RTA_TABLE, table)


def routes_request(family: int, index: int = 0, table: int = 0) -> bytes:
    """Write what selects the routes into a link, of a table, or all."""
    request = RTMSG.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
    request += u32(RTA_OIF, index) if index else b""
    return request + (u32(RTA_TABLE, table) if table else b"")


def route_request(destination: bytes, source: bytes = b"", flow: bytes = b"") -> bytes:
    """Ask how packets to a destination leave; see `flow`."""
    bits = 8 * len(destination)
    request = RTMSG.pack(family_of(destination), bits, 8 * len(source), 0, 0, 0, 0, 0, 0)
    request += attribute(RTA_DST, destination)
    return request + (attribute(RTA_SRC, source) if source else b"") + flow


def flow(mark: int, source_port: int = 0) -> bytes:
    """Write the mark of packets that a route is asked for, and the UDP port that they leave."""
    marked = u32(RTA_MARK, mark)
    if not source_port:
        return marked
    protocol = attribute(RTA_IP_PROTO, bytes([_socket.IPPROTO_UDP]))
    return marked + protocol + attribute(RTA_SPORT, _PORT.pack(source_port))


def destination_port(port: int) -> bytes:
    """Write the UDP port that packets go to."""
    return attribute(RTA_DPORT, _PORT.pack(port))


def rule(family: int, *more: bytes, table: int = 0, flags: int = 0) -> bytes:
    """Write a rule that looks a table up, with attributes; without a table, ask for all rules."""
    if not table:
        return FIB_RULE_HDR.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
    start = FIB_RULE_HDR.pack(family, 0, 0, 0, RT_TABLE_UNSPEC, 0, 0, FR_ACT_TO_TBL, flags)
    return start + u32(FRA_TABLE, table) + b"".join(more)


def qdisc(index: int, kind: str) -> bytes:
    """Write the queueing discipline at the root of a link."""
    return TCMSG.pack(_socket.AF_UNSPEC, index, 0, TC_H_ROOT, 0) + text(TCA_KIND, kind)


def family_of(packed: bytes) -> int:
    """Return the address family of a packed address."""
    return _socket.AF_INET if len(packed) == 4 else _socket.AF_INET6


def _address(family: int, packed: bytes | None) -> bytes:
    if packed is None or len(packed) != _SIZES.get(family, len(packed)):
        raise protocol_error()
    return packed


def _length(packed: bytes, length: int) -> int:
    if length > 8 * len(packed):
        raise protocol_error()
    return length


_SIZES: Final = {_socket.AF_INET: 4, _socket.AF_INET6: 16}
_PORT: Final = struct.Struct(">H")

# linux/rtnetlink.h
RTM_NEWLINK: Final = 16
RTM_DELLINK: Final = 17
RTM_GETLINK: Final = 18
RTM_SETLINK: Final = 19
RTM_NEWADDR: Final = 20
RTM_DELADDR: Final = 21
RTM_GETADDR: Final = 22
RTM_NEWROUTE: Final = 24
RTM_DELROUTE: Final = 25
RTM_GETROUTE: Final = 26
RTM_NEWRULE: Final = 32
RTM_DELRULE: Final = 33
RTM_GETRULE: Final = 34
RTM_NEWQDISC: Final = 36
RTMSG: Final = struct.Struct("=BBBBBBBBI")  # struct rtmsg
RTA_DST: Final = 1
RTA_SRC: Final = 2
RTA_OIF: Final = 4
RTA_METRICS: Final = 8
RTA_TABLE: Final = 15
RTA_MARK: Final = 16
RTA_IP_PROTO: Final = 27  # kernels before 4.18 ignore it and the ports
RTA_SPORT: Final = 28
RTA_DPORT: Final = 29
RTAX_MTU: Final = 2
RTN_UNICAST: Final = 1
RTPROT_BOOT: Final = 3  # what ip(8) gives to routes that are typed
RT_SCOPE_UNIVERSE: Final = 0
RT_SCOPE_LINK: Final = 253  # what ip(8) gives to routes without `via`
RT_SCOPE_NOWHERE: Final = 255  # in a deletion: any scope
RT_TABLE_UNSPEC: Final = 0
RT_TABLE_COMPAT: Final = 252
RT_TABLE_MAIN: Final = 254
TCMSG: Final = struct.Struct("=BxxxiIII")  # struct tcmsg
TCA_KIND: Final = 1
# linux/if_link.h
IFINFOMSG: Final = struct.Struct("=BxHiII")  # struct ifinfomsg
IFLA_IFNAME: Final = 3
IFLA_MTU: Final = 4
IFLA_TXQLEN: Final = 13
IFLA_LINKINFO: Final = 18
IFLA_INFO_KIND: Final = 1
IFLA_AF_SPEC: Final = 26
IFLA_GSO_MAX_SIZE: Final = 41
IFLA_INET6_ADDR_GEN_MODE: Final = 8
IN6_ADDR_GEN_MODE_NONE: Final = 1
# linux/if.h
IFF_UP: Final = 0x1
IFF_MULTICAST: Final = 0x1000
# linux/if_addr.h
IFADDRMSG: Final = struct.Struct("=BBBBI")  # struct ifaddrmsg
IFA_ADDRESS: Final = 1
IFA_LOCAL: Final = 2
IFA_PROTO: Final = 11
IFAPROT_KERNEL_LL: Final = 3  # a link-local address that the kernel gave
# linux/fib_rules.h
FIB_RULE_HDR: Final = struct.Struct("=BBBBBBBBI")  # struct fib_rule_hdr
FIB_RULE_INVERT: Final = 0x2  # ip(8)'s `not`
FR_ACT_TO_TBL: Final = 1
FRA_DST: Final = 1
FRA_SRC: Final = 2
FRA_IIFNAME: Final = 3
FRA_PRIORITY: Final = 6
FRA_FWMARK: Final = 10
FRA_TUN_ID: Final = 12
FRA_SUPPRESS_PREFIXLEN: Final = 14
FRA_TABLE: Final = 15
FRA_OIFNAME: Final = 17
FRA_L3MDEV: Final = 19
FRA_UID_RANGE: Final = 20
FRA_IP_PROTO: Final = 22
FRA_SPORT_RANGE: Final = 23
FRA_DPORT_RANGE: Final = 24
# linux/pkt_sched.h
TC_H_ROOT: Final = 0xFFFFFFFF

_OTHER_CONDITIONS: Final = frozenset(
    (FRA_DST, FRA_SRC, FRA_IIFNAME, FRA_OIFNAME, FRA_TUN_ID, FRA_L3MDEV, FRA_UID_RANGE,
     FRA_IP_PROTO, FRA_SPORT_RANGE, FRA_DPORT_RANGE)
)  # fmt: skip

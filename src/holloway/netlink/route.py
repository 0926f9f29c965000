"""Links, addresses, routes and rules of this network namespace, over one rtnetlink socket.

What the kernel refuses is an `OSError` in the words of ip(8). The bytes are `rtnetlink`'s; wg-quick
and the device read and change their host with this.
"""

from __future__ import annotations

import errno
import os
import socket
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import (
    IPv4Interface,
    IPv4Network,
    IPv6Interface,
    IPv6Network,
    ip_interface,
    ip_network,
)
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from holloway.netlink import rtnetlink
from holloway.netlink.attributes import NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, u32
from holloway.netlink.rtnetlink import AddressMessage, LinkMessage, RouteMessage, RuleMessage
from holloway.netlink.socket import NETLINK_ROUTE, NetlinkSocket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network

TABLE_MAIN: Final = rtnetlink.RT_TABLE_MAIN


@dataclass(frozen=True, slots=True)
class Link:
    """A network device of this namespace; `kind` is `wireguard`, `tun` and the like."""

    name: str
    index: int
    mtu: int
    kind: str | None


class Address(NamedTuple):
    """An address of a link; `automatic` if the kernel gave it (an IPv6 link-local address)."""

    interface: Interface
    automatic: bool


class Path(NamedTuple):
    """How packets to a destination leave: by which link, and the MTU if the route has its own."""

    link: int
    mtu: int | None


class Route(NamedTuple):
    """A route into a link; `manual` unless the kernel or a daemon made it.

    A tuple and not a dataclass, because there are thousands to make and to compare.
    """

    network: Network
    table: int = TABLE_MAIN
    manual: bool = True


@dataclass(frozen=True, slots=True)
class Rule:
    """Which table is looked up: for all packets but those marked `unless_mark`, if it is given.

    `suppress_default` ignores a default route of the table. Rules are evaluated by `priority`, the
    lowest first; None is before all that have one, and in a deletion, any.
    """

    version: int
    table: int
    unless_mark: int | None = None
    suppress_default: bool = False
    priority: int | None = field(default=None, compare=False)


class RouteSocket:
    """One rtnetlink socket; a context manager."""

    def __init__(self) -> None:
        self._kernel = NetlinkSocket(NETLINK_ROUTE)
        with suppress(OSError):
            self._kernel.check_strictly()  # so that dumps are short; all are filtered here too

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._kernel.close()

    def link(self, name: str) -> Link | None:
        """Find a link by name."""
        try:
            return self._link(rtnetlink.link(0, 0, 0, rtnetlink.link_name(name)))
        except OSError as error:
            # A name that no link can have (too long, a slash) is refused with EINVAL or ERANGE.
            if error.errno in _NO_SUCH_LINK:
                return None
            raise

    def link_by_index(self, index: int) -> Link | None:
        """Find a link by index."""
        try:
            return self._link(rtnetlink.link(index))
        except OSError as error:
            if error.errno in _NO_SUCH_LINK:
                return None
            raise

    def _link(self, request: bytes) -> Link:
        (answer,) = self._request(rtnetlink.RTM_GETLINK, request)
        found = LinkMessage(answer)
        return Link(found.name, found.index, found.mtu, found.kind)

    def add_link(self, name: str, kind: str) -> None:
        """`ip link add NAME type KIND`; EOPNOTSUPP where the kernel has no such links."""
        attributes = rtnetlink.link_name(name), rtnetlink.link_kind(kind)
        self._create(rtnetlink.RTM_NEWLINK, rtnetlink.link(0, 0, 0, *attributes))

    def delete_link(self, name: str) -> None:
        """`ip link delete dev NAME`."""
        self._request(rtnetlink.RTM_DELLINK, rtnetlink.link(self._index(name)))

    def set_mtu_up(self, name: str, mtu: int) -> None:
        """`ip link set mtu MTU up dev NAME`."""
        up = rtnetlink.IFF_UP
        self._set_link(name, up, up, u32(rtnetlink.IFLA_MTU, mtu))

    def set_mtu(self, name: str, mtu: int) -> None:
        """`ip link set mtu MTU dev NAME`."""
        self._set_link(name, 0, 0, u32(rtnetlink.IFLA_MTU, mtu))

    def _set_link(self, name: str, flags: int, change: int, *attributes: bytes) -> None:
        request = rtnetlink.link(self._index(name), flags, change, *attributes)
        self._request(rtnetlink.RTM_SETLINK, request)

    def addresses(self, name: str) -> list[Address]:
        """List the addresses of a link, IPv4 first, as ip(8) does."""
        found = self.address_messages(self._index(name))
        return sorted(map(_address, found), key=lambda address: address.interface.version)

    def address_messages(self, link: int = 0) -> list[AddressMessage]:
        """List the addresses of a link, or of all, in the kernel's order and packed."""
        answers = self._dump(rtnetlink.RTM_GETADDR, rtnetlink.address(link))
        return [found for found in map(AddressMessage, answers) if link in {0, found.link}]

    def add_address(self, name: str, interface: Interface) -> None:
        """`ip address add ADDRESS dev NAME`."""
        self._create(rtnetlink.RTM_NEWADDR, self._address_request(name, interface))

    def delete_address(self, name: str, interface: Interface) -> None:
        """`ip address delete ADDRESS dev NAME`."""
        self._request(rtnetlink.RTM_DELADDR, self._address_request(name, interface))

    def _address_request(self, name: str, interface: Interface) -> bytes:
        packed, length = interface.ip.packed, interface.network.prefixlen
        return rtnetlink.address(self._index(name), packed, length)

    def routes(self, name: str) -> list[Route]:
        """List the unicast routes into a link, of all tables."""
        index = self._index(name)
        return [
            Route(
                ip_network((found.address, found.length)),
                found.table,
                found.protocol == rtnetlink.RTPROT_BOOT,
            )
            for version in _FAMILIES
            for found in self._routes(version, link=index)
        ]

    def add_routes(self, name: str, routes: Sequence[Route]) -> None:
        """`ip route add NETWORK dev NAME table TABLE` for each; all of them, or none."""
        index = self._index(name)
        requests = [_route_request(rtnetlink.new_route, index, route) for route in routes]
        flags = NLM_F_CREATE | NLM_F_EXCL
        results = self._kernel.batch(rtnetlink.RTM_NEWROUTE, requests, flags)
        for route, number in zip(routes, results, strict=True):
            if number:
                added = [each for each, status in zip(routes, results, strict=True) if not status]
                self._delete_routes(index, added)
                raise OSError(number, f"{route.network}: {_answer(number)}")

    def delete_routes(self, name: str, routes: Sequence[Route]) -> None:
        """`ip route delete NETWORK dev NAME table TABLE`; those that are gone are no matter."""
        self._delete_routes(self._index(name), routes)

    def _delete_routes(self, index: int, routes: Sequence[Route]) -> None:
        requests = [_route_request(rtnetlink.old_route, index, route) for route in routes]
        self._kernel.batch(rtnetlink.RTM_DELROUTE, requests)

    def table_is_empty(self, table: int) -> bool:
        """Whether `ip route show table TABLE` shows nothing, IPv4 and IPv6."""
        for version in _FAMILIES:
            # Where no route was ever in it, the kernel says that there is no such thing.
            with suppress(FileNotFoundError):
                if self._routes(version, table=table):
                    return False
        return True

    def default_path(self) -> Path | None:
        """Return the first IPv4 default route, as `ip route show default` lists it."""
        found = self._routes(4, table=TABLE_MAIN)
        paths = (Path(each.link, each.mtu) for each in found if each.link and not each.length)
        return next(paths, None)

    def _routes(self, version: int, *, link: int = 0, table: int = 0) -> list[RouteMessage]:
        """List the unicast routes into a link or of a table."""
        request = rtnetlink.routes_request(_FAMILIES[version], link, table)
        return [
            found
            for found in map(RouteMessage, self._dump(rtnetlink.RTM_GETROUTE, request))
            if found.is_unicast and link in {0, found.link} and table in {0, found.table}
        ]

    def path(self, destination: str, mark: int = 0) -> Path | None:
        """`ip route get DESTINATION mark MARK`; None where it cannot be reached."""
        packed = socket.inet_pton(_FAMILIES[6 if ":" in destination else 4], destination)
        return self.path_of(packed, flow=rtnetlink.flow(mark))

    def path_of(self, destination: bytes, source: bytes = b"", flow: bytes = b"") -> Path | None:
        """Like `path`, of packed addresses and a `rtnetlink.flow`."""
        request = rtnetlink.route_request(destination, source, flow)
        try:
            (answer,) = self._kernel.request(rtnetlink.RTM_GETROUTE, request)
        except OSError:
            return None
        found = RouteMessage(answer)
        return None if found.link is None else Path(found.link, found.mtu)

    def rules(self) -> list[Rule]:
        """`ip rule show`, of those rules that a `Rule` can express, IPv4 first, else in order."""
        return [
            rule
            for version, family in _FAMILIES.items()
            for answer in self._dump(rtnetlink.RTM_GETRULE, rtnetlink.rule(family))
            if (rule := _rule(version, RuleMessage(answer))) is not None
        ]

    def add_rule(self, rule: Rule) -> None:
        """`ip rule add not fwmark MARK table TABLE` and the like."""
        self._create(rtnetlink.RTM_NEWRULE, _rule_request(rule))

    def delete_rule(self, rule: Rule) -> None:
        """`ip rule delete`: the first that is like this one."""
        self._request(rtnetlink.RTM_DELRULE, _rule_request(rule))

    def _index(self, name: str) -> int:
        try:
            return socket.if_nametoindex(name)
        except OSError:
            # if_nametoindex drops the reason, for which `ip` has these words.
            raise OSError(errno.ENODEV, f'Cannot find device "{name}"') from None

    def _create(self, kind: int, payload: bytes) -> None:
        self._request(kind, payload, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL)

    def _request(self, kind: int, payload: bytes, flags: int = NLM_F_ACK) -> list[bytes]:
        with _words_of_ip():
            return self._kernel.request(kind, payload, flags)

    def _dump(self, kind: int, payload: bytes) -> list[bytes]:
        with _words_of_ip():
            return self._kernel.dump(kind, payload)


def _address(found: AddressMessage) -> Address:
    return Address(
        ip_interface((found.address, found.length)),
        found.protocol == rtnetlink.IFAPROT_KERNEL_LL,
    )


def _route_request(
    write: Callable[[int, bytes, int, int], bytes], index: int, route: Route
) -> bytes:
    network = route.network
    return write(index, network.network_address.packed, network.prefixlen, route.table)


def _rule(version: int, found: RuleMessage) -> Rule | None:
    """Read a rule; None for one that looks at more than marks."""
    if found.is_other or (found.mark is not None) != found.inverted:
        return None
    suppress_default = found.suppressed_length == 0
    return Rule(version, found.table, found.mark, suppress_default, found.priority)


def _rule_request(rule: Rule) -> bytes:
    more: list[bytes] = []
    if rule.priority is not None:
        more.append(u32(rtnetlink.FRA_PRIORITY, rule.priority))
    if rule.unless_mark is not None:
        more.append(u32(rtnetlink.FRA_FWMARK, rule.unless_mark))
    if rule.suppress_default:
        more.append(u32(rtnetlink.FRA_SUPPRESS_PREFIXLEN, 0))
    flags = 0 if rule.unless_mark is None else rtnetlink.FIB_RULE_INVERT
    return rtnetlink.rule(_FAMILIES[rule.version], *more, table=rule.table, flags=flags)


@contextmanager
def _words_of_ip() -> Iterator[None]:
    """Say what is refused as ip(8) does."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, _answer(error.errno)) from None


def _answer(number: int | None) -> str:
    return f"RTNETLINK answers: {os.strerror(number or errno.EIO)}"


_FAMILIES: Final = {4: int(socket.AF_INET), 6: int(socket.AF_INET6)}
_NO_SUCH_LINK: Final = frozenset({errno.ENODEV, errno.EINVAL, errno.ERANGE})

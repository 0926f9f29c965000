"""Links, addresses, routes and rules of this network namespace: typed rtnetlink.

The one place of wg-quick that speaks to pyroute2. Refusals are raised as `OSError`. It knows
nothing of WireGuard; `facts` reads through it and `steps` write through it.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator, Sequence
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
from types import TracebackType
from typing import Any, Final, Protocol, Self

from pyroute2 import IPRoute, NetlinkError

from holloway.quick import route_messages

Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network

TABLE_MAIN: Final = 254  # linux/rtnetlink.h, RT_TABLE_MAIN
BOOT: Final = 3  # linux/rtnetlink.h, RTPROT_BOOT: what ip(8) gives routes typed by hand
RULE_INVERT: Final = 2  # linux/fib_rules.h, FIB_RULE_INVERT: ip(8)'s `not`
KERNEL_LINK_LOCAL: Final = 3  # linux/if_addr.h, IFAPROT_KERNEL_LL


@dataclass(frozen=True, slots=True)
class Link:
    """A network device of this namespace; `kind` is `wireguard`, `tun` and the like."""

    name: str
    index: int
    mtu: int
    kind: str | None


@dataclass(frozen=True, slots=True)
class Address:
    """An address of a link; `automatic` if the kernel gave it (an IPv6 link-local address)."""

    interface: Interface
    automatic: bool


@dataclass(frozen=True, slots=True)
class Path:
    """How packets to a destination leave: by which link, and the MTU if the route has its own."""

    link: int
    mtu: int | None


@dataclass(frozen=True, slots=True)
class Route:
    """A way into a link; `table` by number, `manual` unless the kernel or a daemon made it."""

    network: Network
    table: int = TABLE_MAIN
    manual: bool = True


@dataclass(frozen=True, slots=True)
class Rule:
    """Which table is asked: all packets but those marked `unless_mark`, if that is given.

    `suppress_default` takes no answer from a default route of the table. `priority` is its place,
    the lowest first; None is before all that have one, or of a rule to be deleted, any.
    """

    version: int
    table: int
    unless_mark: int | None = None
    suppress_default: bool = False
    priority: int | None = field(default=None, compare=False)


class Netlink:
    """One rtnetlink socket; use it as a context manager."""

    def __init__(self) -> None:
        self._route = IPRoute(strict_check=True)  # the kernel filters, not we

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._route.close()

    def link(self, name: str) -> Link | None:
        """Find a link by name."""
        try:
            with _os_errors():
                (found,) = self._route.link("get", ifname=name)
        except OSError as error:
            # A name that no link can have (too long, a slash) is refused with EINVAL or ERANGE.
            if error.errno in _NO_SUCH_LINK:
                return None
            raise
        kind = found.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND")
        return Link(name, int(found["index"]), int(found.get_attr("IFLA_MTU")), kind)

    def link_by_index(self, index: int) -> Link | None:
        """Find a link by index."""
        try:
            name = socket.if_indextoname(index)
        except OSError:
            return None
        return self.link(name)

    def add_wireguard(self, name: str) -> None:
        """`ip link add NAME type wireguard`; EOPNOTSUPP where the kernel has no such links."""
        with _os_errors():
            self._route.link("add", ifname=name, kind="wireguard")

    def delete_link(self, name: str) -> None:
        """`ip link delete dev NAME`."""
        with _os_errors():
            self._route.link("del", index=self._index(name))

    def set_mtu_up(self, name: str, mtu: int) -> None:
        """`ip link set mtu MTU up dev NAME`."""
        with _os_errors():
            self._route.link("set", index=self._index(name), mtu=mtu, state="up")

    def set_mtu(self, name: str, mtu: int) -> None:
        """`ip link set mtu MTU dev NAME`."""
        with _os_errors():
            self._route.link("set", index=self._index(name), mtu=mtu)

    def addresses(self, name: str) -> list[Address]:
        """List the addresses of a link, IPv4 first, as ip(8) does."""
        with _os_errors():
            found = list(self._route.addr("dump", index=self._index(name)))
        return sorted(map(_address, found), key=lambda address: address.interface.version)

    def add_address(self, name: str, interface: Interface) -> None:
        """`ip address add ADDRESS dev NAME`."""
        with _os_errors():
            self._route.addr(
                "add",
                index=self._index(name),
                address=str(interface.ip),
                prefixlen=interface.network.prefixlen,
            )

    def delete_address(self, name: str, interface: Interface) -> None:
        """`ip address delete ADDRESS dev NAME`."""
        with _os_errors():
            self._route.addr(
                "del",
                index=self._index(name),
                address=str(interface.ip),
                prefixlen=interface.network.prefixlen,
            )

    def routes(self, name: str) -> list[Route]:
        """List the unicast routes into a link, of all tables."""
        with route_messages.RouteSocket() as socket_:
            found = [each for v in _FAMILIES for each in socket_.list(v, link=self._index(name))]
        return [
            Route(ip_network((each.address, each.length)), each.table, each.protocol == BOOT)
            for each in found
        ]

    def add_routes(self, name: str, routes: Sequence[Route]) -> None:
        """`ip route add NETWORK dev NAME table TABLE` for each; all of them, or none."""
        index = self._index(name)
        with route_messages.RouteSocket() as socket_:
            refused = socket_.add(index, routes)
            if refused is None:
                return
            # A netlink batch goes on after a refusal: what came before and after it is there.
            socket_.delete(index, [each for each in routes if each not in refused])
        route, number = next(iter(refused.items()))
        raise OSError(number, f"{route.network}: RTNETLINK answers: {os.strerror(number)}")

    def delete_routes(self, name: str, routes: Sequence[Route]) -> None:
        """`ip route delete NETWORK dev NAME table TABLE`; those that are gone are no matter."""
        with route_messages.RouteSocket() as socket_:
            socket_.delete(self._index(name), routes)

    def table_is_empty(self, table: int) -> bool:
        """Whether `ip route show table TABLE` shows nothing, IPv4 and IPv6."""
        for version in _FAMILIES:
            # Where no route was ever in it, the kernel says that there is no such thing.
            with route_messages.RouteSocket() as socket_, suppress(FileNotFoundError):
                if socket_.list(version, table=table):
                    return False
        return True

    def rules(self) -> list[Rule]:
        """`ip rule show`, of those rules that a `Rule` can tell, IPv4 first, else in order."""
        with _os_errors():
            found = [
                (version, entry)
                for version, family in _FAMILIES.items()
                for entry in self._route.rule("dump", family=family)
            ]
        return [rule for version, entry in found if (rule := _rule(version, entry)) is not None]

    def add_rule(self, rule: Rule) -> None:
        """`ip rule add not fwmark MARK table TABLE` and the like."""
        with _os_errors():
            self._route.rule("add", **_rule_fields(rule))

    def delete_rule(self, rule: Rule) -> None:
        """`ip rule delete`: the first that is like this one."""
        with _os_errors():
            self._route.rule("del", **_rule_fields(rule))

    def path(self, destination: str, mark: int = 0) -> Path | None:
        """`ip route get DESTINATION mark MARK`; None where it cannot be reached."""
        try:
            with _os_errors():
                (found,) = self._route.route("get", dst=destination, mark=mark)
        except OSError:
            return None
        return _path(found)

    def default_path(self) -> Path | None:
        """The first IPv4 default route, as `ip route show default` lists it."""
        with route_messages.RouteSocket() as socket_:
            found = socket_.list(4, table=TABLE_MAIN)
        paths = (Path(each.link, each.mtu) for each in found if each.link and not each.length)
        return next(paths, None)

    def _index(self, name: str) -> int:
        # if_nametoindex loses the reason (ENODEV), which `ip` reports as this.
        try:
            return socket.if_nametoindex(name)
        except OSError as error:
            raise OSError(error.errno, f'Cannot find device "{name}"') from None


class _Message(Protocol):
    """What pyroute2 hands over: header fields by index, attributes by name."""

    def __getitem__(self, field: str) -> int: ...

    def get_attr(self, name: str) -> Any: ...  # each attribute has its own type


def _address(message: _Message) -> Address:
    # IFA_LOCAL is our own end where a peer's address is set too; IPv6 has it only then.
    own = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
    return Address(
        interface=ip_interface(f"{own}/{message['prefixlen']}"),
        automatic=message.get_attr("IFA_PROTO") == KERNEL_LINK_LOCAL,
    )


def _rule(version: int, message: _Message) -> Rule | None:
    """Read a rule; None for one that looks at more than marks."""
    others = ("FRA_SRC", "FRA_DST", "FRA_IIFNAME", "FRA_OIFNAME", "FRA_UID_RANGE", "FRA_IP_PROTO")
    if any(message.get_attr(name) is not None for name in others):
        return None
    mark, inverted = message.get_attr("FRA_FWMARK"), bool(message["flags"] & RULE_INVERT)
    if (mark is not None) != inverted:
        return None
    suppressed = message.get_attr("FRA_SUPPRESS_PREFIXLEN")
    priority = message.get_attr("FRA_PRIORITY")
    return Rule(version, int(message.get_attr("FRA_TABLE")), mark, suppressed == 0, priority)


def _rule_fields(rule: Rule) -> dict[str, int | None]:
    fields: dict[str, int | None] = {
        "family": _FAMILIES[rule.version],
        "table": rule.table,
        "priority": rule.priority,  # named even if None, for pyroute2 has one of its own
    }
    if rule.unless_mark is not None:
        fields |= {"fwmark": rule.unless_mark, "flags": RULE_INVERT}
    if rule.suppress_default:
        fields |= {"FRA_SUPPRESS_PREFIXLEN": 0}
    return fields


def _path(message: _Message) -> Path | None:
    link = message.get_attr("RTA_OIF")
    metrics = message.get_attr("RTA_METRICS")
    mtu = metrics.get_attr("RTAX_MTU") if metrics is not None else None
    return None if link is None else Path(int(link), mtu)


@contextmanager
def _os_errors() -> Iterator[None]:
    """Turn pyroute2's own exception into the operating system's."""
    try:
        yield
    except NetlinkError as error:
        raise OSError(error.code, f"RTNETLINK answers: {os.strerror(error.code)}") from None


_FAMILIES: Final = {4: int(socket.AF_INET), 6: int(socket.AF_INET6)}
_NO_SUCH_LINK: Final = frozenset({errno.ENODEV, errno.EINVAL, errno.ERANGE})

"""Steps on an interface's addresses, MTU, routes, rules and mark.

Each does what one `ip`, `wg set` or `sysctl` command would do; what a refusal leaves behind is
nothing. Which of them make up an `up`, a `reload` or a `down` is decided by the plans.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_interface
from pathlib import Path
from typing import Final

from holloway.model import DeviceUpdate
from holloway.netlink.listen_port import port_in_use
from holloway.netlink.route import TABLE_MAIN, Interface, Network, Route, Rule
from holloway.quick.steps import Host


@dataclass(frozen=True, slots=True)
class AddAddress:
    """Give the interface an address; `written` is how the file spells it."""

    name: str
    written: str
    interface: Interface

    @property
    def text(self) -> str:
        return f"ip -{self.interface.version} address add {self.written} dev {self.name}"

    def apply(self, host: Host) -> None:
        host.netlink.add_address(self.name, self.interface)


@dataclass(frozen=True, slots=True)
class SetMtuUp:
    """Set the MTU and bring the interface up."""

    name: str
    mtu: int

    @property
    def text(self) -> str:
        return f"ip link set mtu {self.mtu} up dev {self.name}"

    def apply(self, host: Host) -> None:
        try:
            host.netlink.set_mtu_up(self.name, self.mtu)
        except OSError as error:
            # The kernel binds a device's port here, and refuses without naming it.
            if error.errno == errno.EADDRINUSE:
                raise port_in_use(host.find(self.name).get().listen_port) from error
            raise


@dataclass(frozen=True, slots=True)
class SetMtu:
    """Set the MTU of an interface that is up."""

    name: str
    mtu: int

    @property
    def text(self) -> str:
        return f"ip link set mtu {self.mtu} dev {self.name}"

    def apply(self, host: Host) -> None:
        host.netlink.set_mtu(self.name, self.mtu)


@dataclass(frozen=True, slots=True)
class ReplaceAddresses:
    """Make one list of addresses into another, in the order of the latter.

    The kernel deletes all IPv4 routes of a link with its last IPv4 address, so while the link would
    be without any, it has a dummy one: no packet may go astray meanwhile.
    """

    name: str
    have: tuple[Interface, ...]
    want: tuple[Interface, ...]

    @property
    def text(self) -> str:
        gone, added = address_changes(self.have, self.want)
        return "\n".join(
            f"ip -{each.version} address {verb} {each} dev {self.name}"
            for verb, addresses in (("delete", gone), ("add", added))
            for each in addresses
        )

    def apply(self, host: Host) -> None:
        routes = [route for route in host.netlink.routes(self.name) if route.manual]
        present = list(self.have)
        with self._dummy_address(host):
            try:
                self._change(host, present, self.want)
            except OSError:
                self._change(host, present, self.have)
                raise
        # Those that went with an address of their network, or with the last one.
        left = {(route.network, route.table) for route in host.netlink.routes(self.name)}
        lost = [route for route in routes if (route.network, route.table) not in left]
        host.netlink.add_routes(self.name, lost)

    @contextmanager
    def _dummy_address(self, host: Host) -> Iterator[None]:
        if not any(each.version == 4 for each in self.have):
            yield
            return
        host.netlink.add_address(self.name, DUMMY)
        try:
            yield
        finally:
            host.netlink.delete_address(self.name, DUMMY)

    def _change(self, host: Host, present: list[Interface], want: Sequence[Interface]) -> None:
        """Make the addresses from `present`, which is kept true, to `want`."""
        gone, added = address_changes(present, want)
        for each in gone:
            try:
                host.netlink.delete_address(self.name, each)
            except OSError as error:
                # Secondary addresses go with their primary one.
                if error.errno != errno.EADDRNOTAVAIL:
                    raise
            present.remove(each)
        for each in added:
            host.netlink.add_address(self.name, each)
            present.append(each)


def address_changes(
    have: Sequence[Interface], want: Sequence[Interface]
) -> tuple[tuple[Interface, ...], tuple[Interface, ...]]:
    """What has to go and what has to be added at the end, so that the order is that of `want`."""
    gone: list[Interface] = []
    added: list[Interface] = []
    for version in (4, 6):
        old = [each for each in have if each.version == version]
        new = [each for each in dict.fromkeys(want) if each.version == version]
        stay = [each for each in old if each in new]
        while stay != new[: len(stay)] or any(_loses_primary(each, old, stay) for each in stay):
            stay.pop()
        gone += [each for each in old if each not in stay]
        added += new[len(stay) :]
    return tuple(gone), tuple(added)


def _loses_primary(address: Interface, old: Sequence[Interface], stay: Sequence[Interface]) -> bool:
    """Whether an IPv4 address is deleted with, or takes the place of, one that does not stay."""
    primary = next(each for each in old if each.network == address.network)
    return address.version == 4 and primary not in stay


@dataclass(frozen=True, slots=True)
class AddRoutes:
    """Lead networks into the interface; `table` is how the file names the table, if it does."""

    name: str
    routes: tuple[Route, ...]
    table: str | None = None

    @property
    def text(self) -> str:
        return _route_text("add", self.name, self.routes, self.table)

    def apply(self, host: Host) -> None:
        host.netlink.add_routes(self.name, self.routes)


@dataclass(frozen=True, slots=True)
class DeleteRoutes:
    """Lead networks into the interface no longer."""

    name: str
    routes: tuple[Route, ...]
    table: str | None = None

    @property
    def text(self) -> str:
        return _route_text("delete", self.name, self.routes, self.table)

    def apply(self, host: Host) -> None:
        host.netlink.delete_routes(self.name, self.routes)


@dataclass(frozen=True, slots=True)
class AddRule:
    """Add a rule of policy routing."""

    rule: Rule

    @property
    def text(self) -> str:
        condition = "" if self.rule.unless_mark is None else f"not fwmark {self.rule.unless_mark} "
        return f"ip -{self.rule.version} rule add {condition}{_lookup(self.rule)}"

    def apply(self, host: Host) -> None:
        host.netlink.add_rule(self.rule)


@dataclass(frozen=True, slots=True)
class DeleteRule:
    """Delete the first rule that is like this one."""

    rule: Rule

    @property
    def text(self) -> str:
        return f"ip -{self.rule.version} rule delete {_lookup(self.rule)}"

    def apply(self, host: Host) -> None:
        host.netlink.delete_rule(self.rule)


@dataclass(frozen=True, slots=True)
class SetFwmark:
    """Let the device mark its packets, so that they do not take the way that it is."""

    name: str
    mark: int

    @property
    def text(self) -> str:
        return f"wg set {self.name} fwmark {self.mark or 'off'}"

    def apply(self, host: Host) -> None:
        host.find(self.name).set(DeviceUpdate(fwmark=self.mark))


@dataclass(frozen=True, slots=True)
class SetValidMark:
    """Let the kernel's check of source addresses see marks (Linux, ip-sysctl)."""

    value: bool = True

    @property
    def text(self) -> str:
        return f"sysctl -q net.ipv4.conf.all.src_valid_mark={int(self.value)}"

    def apply(self, host: Host) -> None:
        VALID_MARK.write_text(f"{int(self.value)}\n")


def table_name(table: int) -> str | None:
    """How a route's table is told where the file does not name it; the main one is not."""
    return None if table == TABLE_MAIN else str(table)


def _route_text(verb: str, name: str, routes: tuple[Route, ...], table: str | None) -> str:
    suffix = "" if table is None else f" table {table}"
    networks: list[Network] = [route.network for route in routes]
    return "\n".join(
        f"ip -{each.version} route {verb} {each} dev {name}{suffix}" for each in networks
    )


def _lookup(rule: Rule) -> str:
    table = "main" if rule.table == TABLE_MAIN else str(rule.table)
    return f"table {table}" + (" suppress_prefixlength 0" if rule.suppress_default else "")


DUMMY: Final = ip_interface("192.0.0.8/32")  # RFC 7600: the IPv4 dummy address
VALID_MARK: Final = Path("/proc/sys/net/ipv4/conf/all/src_valid_mark")

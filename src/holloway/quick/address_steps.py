"""Steps on the MTU and the addresses of an interface that is in use; `reload` takes them."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_interface
from typing import Final

from holloway.netlink.route import Interface
from holloway.quick.steps import Host


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
    """Replace one list of addresses by another, in the order of the latter.

    The kernel deletes all IPv4 routes of a link with its last IPv4 address. So the link has a dummy
    address meanwhile, and no packet leaves by another link.
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
        # Routes that were deleted with an address of their network, or with the last one.
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
        """Change the addresses from `present`, which is kept up to date, to `want`."""
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
    """Return what to delete and what to add at the end, so that the order is that of `want`."""
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
    """Whether an IPv4 address is deleted with, or replaces, one that does not stay."""
    primary = next(each for each in old if each.network == address.network)
    return address.version == 4 and primary not in stay


DUMMY: Final = ip_interface("192.0.0.8/32")  # RFC 7600: the IPv4 dummy address

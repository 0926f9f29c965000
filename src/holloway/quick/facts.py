"""What the host is, as far as a plan depends on it; and how it is observed.

The values are plain and made by hand in tests. Observing reads the host and changes nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Final

from holloway.model import Device
from holloway.netlink.route import TABLE_MAIN, Interface, Network, RouteSocket
from holloway.netlink.route import Path as Route
from holloway.quick import programs
from holloway.quick.dns import DnsTool, dns_tool
from holloway.quick.network_steps import VALID_MARK
from holloway.quick.steps import KERNEL_MODULE

DEFAULT_MTU: Final = 1500  # wg-quick(8): where no route tells better
FIRST_TABLE: Final = 51820  # wg-quick(8): the first table that a default route may go to


@dataclass(frozen=True, slots=True)
class Facts:
    """The host, seen from one interface that is being brought up.

    `paths` has the MTU of the way to each peer's endpoint that can be reached; `default_path`
    that of the default route, None without one; `addresses` those of the interface; `covered` the
    destinations that already lead to it; `tables` the routing tables that have a name;
    `free_table` an empty one, for a default route; `valid_mark` whether the check of source
    addresses sees marks already; `nft` whether there is that program; `dns` who sets name servers.
    """

    paths: tuple[int, ...] = ()
    default_path: int | None = None
    addresses: tuple[Interface, ...] = ()
    covered: tuple[Network, ...] = ()
    tables: Mapping[str, int] = field(default_factory=dict)
    free_table: int = FIRST_TABLE
    valid_mark: bool = False
    nft: bool = True
    dns: DnsTool = DnsTool.FILE

    @property
    def path_mtu(self) -> int:
        """The largest outer packet that reaches every endpoint."""
        return min(self.paths) if self.paths else self.default_path or DEFAULT_MTU


def observe(netlink: RouteSocket, device: Device) -> Facts:
    """Look at the host through the interface of `device`, which exists."""
    addresses = (address.interface for address in netlink.addresses(device.name))
    routes = (route for route in netlink.routes(device.name) if route.table == TABLE_MAIN)
    return replace(
        _observe_host(netlink, device),
        addresses=tuple(addresses),
        covered=tuple(route.network for route in routes),
    )


def predict(netlink: RouteSocket, device: Device, addresses: Iterable[Interface]) -> Facts:
    """Look at the host as if the interface of `device` were there, with these addresses."""
    addresses = tuple(addresses)
    # The kernel leads the network of each address to its link, but not a single IPv4 host's.
    covered = (
        each.network for each in addresses if each.network.prefixlen < 32 or each.version == 6
    )
    return replace(_observe_host(netlink, device), addresses=addresses, covered=tuple(covered))


def _observe_host(netlink: RouteSocket, device: Device) -> Facts:
    """Everything but the interface itself."""
    hosts = (peer.endpoint.host for peer in device.peers if peer.endpoint is not None)
    paths = (_endpoint_mtu(netlink, host, device) for host in dict.fromkeys(hosts))
    default = netlink.default_path()
    return Facts(
        paths=tuple(mtu for mtu in paths if mtu is not None),
        default_path=None if default is None else _route_mtu(netlink, default),
        tables=named_tables(),
        free_table=_free_table(netlink),
        valid_mark=_valid_mark(),
        nft=programs.find_program("nft") is not None,
        dns=dns_tool(),
    )


def has_kernel_module() -> bool:
    """Whether the kernel has WireGuard, or would load it when asked for an interface."""
    modules = Path("/lib/modules", os.uname().release)
    return KERNEL_MODULE.exists() or any(
        "/wireguard.ko" in _read(modules / index) for index in ("modules.builtin", "modules.dep")
    )


def _read(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""


def _free_table(netlink: RouteSocket) -> int:
    return next(filter(netlink.table_is_empty, count(FIRST_TABLE)))


def _valid_mark() -> bool:
    return _read(VALID_MARK).strip() == "1"


def named_tables(directories: Iterable[Path] | None = None) -> dict[str, int]:
    """Read the names of routing tables as ip(8) does; later directories win."""
    tables = dict(_BUILT_IN_TABLES)
    for directory in _TABLE_DIRECTORIES if directories is None else directories:
        files = [directory / "rt_tables", *sorted((directory / "rt_tables.d").glob("*.conf"))]
        for file in files:
            tables.update(_read_tables(file))
    return tables


def _read_tables(file: Path) -> dict[str, int]:
    found = map(_TABLE_LINE.match, _read(file).splitlines())
    return {match["name"]: int(match["number"], 0) for match in found if match is not None}


def _endpoint_mtu(netlink: RouteSocket, host: str, device: Device) -> int | None:
    address, _, zone = host.partition("%")
    if zone:
        # The zone of a link-local address names the link that the packets leave by.
        link = netlink.link(zone)
        return None if link is None else link.mtu
    # With the mark, since without it the way to everywhere may be the tunnel itself.
    route = netlink.path(address, device.fwmark)
    link = None if route is None else netlink.link_by_index(route.link)
    if route is None or link is None or link.name == device.name:
        return None
    return route.mtu or link.mtu


def _route_mtu(netlink: RouteSocket, route: Route) -> int | None:
    if route.mtu is not None:
        return route.mtu
    link = netlink.link_by_index(route.link)
    return None if link is None else link.mtu


_BUILT_IN_TABLES: Final = {"default": 253, "main": 254, "local": 255}
_TABLE_DIRECTORIES: Final = (
    Path("/usr/share/iproute2"),
    Path("/usr/lib/iproute2"),
    Path("/etc/iproute2"),
)
_TABLE_LINE: Final = re.compile(r"\s*(?P<number>0x[0-9a-fA-F]+|[0-9]+)\s+(?P<name>[^\s#]+)")

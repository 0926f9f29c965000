"""Facts about the host that a plan depends on, and how they are observed.

The values are plain, and tests make them by hand. Observing reads the host and changes nothing; it
looks only for what the file makes use of.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

from holloway.netlink.route import TABLE_MAIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from holloway.model import Device
    from holloway.netlink.route import Interface, Network, RouteSocket
    from holloway.netlink.route import Path as Route
    from holloway.text.quick import QuickConfig

DEFAULT_MTU: Final = 1500  # wg-quick(8): where no route tells better
FIRST_TABLE: Final = 51820  # wg-quick(8): the first table that a default route may go to


class DnsTool(Enum):
    """What sets name servers on a host."""

    RESOLVCONF = auto()
    RESOLVECTL = auto()
    FILE = auto()


@dataclass(frozen=True, slots=True)
class Facts:
    """The host, seen from one interface that is being brought up.

    `paths` has the MTU of the path to each peer's endpoint that can be reached; `default_path`
    that of the default route, None without one; `addresses` those of the interface; `covered` the
    destinations that are already routed to it; `tables` the routing tables that have a name, where
    the file names one; `free_table` an empty table for a default route; `valid_mark` whether the
    check of source addresses respects marks already; `nft` whether that program is installed; `dns`
    what sets name servers, where the file has some.
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


def observe(netlink: RouteSocket, config: QuickConfig, device: Device) -> Facts:
    """Observe the host through the interface of `device`, which exists."""
    addresses = (address.interface for address in netlink.addresses(device.name))
    routes = (route for route in netlink.routes(device.name) if route.table == TABLE_MAIN)
    return replace(
        _observe_host(netlink, config, device),
        addresses=tuple(addresses),
        covered=tuple(route.network for route in routes),
    )


def predict(
    netlink: RouteSocket, config: QuickConfig, device: Device, addresses: Iterable[Interface]
) -> Facts:
    """Observe the host as if the interface of `device` were there, with these addresses."""
    addresses = tuple(addresses)
    # The kernel routes the network of each address to its link, but not a single IPv4 host's.
    covered = (
        each.network for each in addresses if each.network.prefixlen < 32 or each.version == 6
    )
    found = _observe_host(netlink, config, device)
    return replace(found, addresses=addresses, covered=tuple(covered))


def _observe_host(netlink: RouteSocket, config: QuickConfig, device: Device) -> Facts:
    """Observe everything but the interface itself."""
    hosts = (peer.endpoint.host for peer in device.peers if peer.endpoint is not None)
    paths = (_endpoint_mtu(netlink, host, device) for host in dict.fromkeys(hosts))
    default = netlink.default_path()
    return Facts(
        paths=tuple(mtu for mtu in paths if mtu is not None),
        default_path=None if default is None else _route_mtu(netlink, default),
        tables=named_tables() if names_table(config) else {},
        free_table=_free_table(netlink),
        valid_mark=_valid_mark(),
        nft=has_nft(),
        dns=dns_tool() if config.dns else DnsTool.FILE,
    )


def names_table(config: QuickConfig) -> bool:
    """Whether the file names a table of its own for all routes."""
    return config.table not in AUTOMATIC and config.table != TABLE_OFF


def has_nft() -> bool:
    """Whether the program `nft` is installed."""
    from holloway.quick.programs import find_program

    return find_program("nft") is not None


def dns_tool() -> DnsTool:
    """Find out what sets name servers here."""
    from holloway.quick.programs import find_program

    if find_program("resolvconf") is not None:
        return DnsTool.RESOLVCONF
    # The program without the daemon, which may be switched off, could only fail.
    if RESOLVED.is_dir() and find_program("resolvectl") is not None:
        return DnsTool.RESOLVECTL
    return DnsTool.FILE


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
    import re

    line = re.compile(r"\s*(?P<number>0x[0-9a-fA-F]+|[0-9]+)\s+(?P<name>[^\s#]+)")
    found = map(line.match, _read(file).splitlines())
    return {match["name"]: int(match["number"], 0) for match in found if match is not None}


def _endpoint_mtu(netlink: RouteSocket, host: str, device: Device) -> int | None:
    address, _, zone = host.partition("%")
    if zone:
        # The zone of a link-local address names the link that the packets leave by.
        link = netlink.link(zone)
        return None if link is None else link.mtu
    # With the mark, since without it the route to everywhere may be the tunnel itself.
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
TABLE_OFF: Final = "off"
TABLE_AUTO: Final = "auto"
AUTOMATIC: Final = frozenset({None, TABLE_AUTO})
KERNEL_MODULE: Final = Path("/sys/module/wireguard")
VALID_MARK: Final = Path("/proc/sys/net/ipv4/conf/all/src_valid_mark")
RESOLVED: Final = Path("/run/systemd/resolve")

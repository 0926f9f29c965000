"""What the host is, as far as a plan depends on it; and how it is observed.

The values are plain and made by hand in tests. Observing reads the host and changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from holloway.model import Device
from holloway.quick.netlink import Netlink, Network
from holloway.quick.netlink import Path as Route

DEFAULT_MTU: Final = 1500  # wg-quick(8): where no route tells better


@dataclass(frozen=True, slots=True)
class Facts:
    """The host, seen from one interface that is being brought up.

    `paths` has the MTU of the way to each peer's endpoint that can be reached; `default_path`
    that of the default route, None without one; `covered` the destinations that already lead to
    the interface; `tables` the routing tables that have a name.
    """

    paths: tuple[int, ...] = ()
    default_path: int | None = None
    covered: tuple[Network, ...] = ()
    tables: Mapping[str, int] = field(default_factory=dict)

    @property
    def path_mtu(self) -> int:
        """The largest outer packet that reaches every endpoint."""
        return min(self.paths) if self.paths else self.default_path or DEFAULT_MTU


def observe(netlink: Netlink, device: Device) -> Facts:
    """Look at the host through the interface of `device`, which exists."""
    hosts = (peer.endpoint.host for peer in device.peers if peer.endpoint is not None)
    paths = (_endpoint_mtu(netlink, host) for host in dict.fromkeys(hosts))
    default = netlink.default_path()
    return Facts(
        paths=tuple(mtu for mtu in paths if mtu is not None),
        default_path=None if default is None else _route_mtu(netlink, default),
        covered=tuple(netlink.routes(device.name)),
        tables=named_tables(),
    )


def named_tables(directories: Iterable[Path] | None = None) -> dict[str, int]:
    """Read the names of routing tables as ip(8) does; later directories win."""
    tables = dict(_BUILT_IN_TABLES)
    for directory in _TABLE_DIRECTORIES if directories is None else directories:
        files = [directory / "rt_tables", *sorted((directory / "rt_tables.d").glob("*.conf"))]
        for file in files:
            tables.update(_read_tables(file))
    return tables


def _read_tables(file: Path) -> dict[str, int]:
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return {}
    found = (_TABLE_LINE.match(line) for line in lines)
    return {match["name"]: int(match["number"], 0) for match in found if match is not None}


def _endpoint_mtu(netlink: Netlink, host: str) -> int | None:
    address, _, zone = host.partition("%")
    if zone:
        # The zone of a link-local address names the link that the packets leave by.
        link = netlink.link(zone)
        return None if link is None else link.mtu
    route = netlink.path(address)
    return None if route is None else _route_mtu(netlink, route)


def _route_mtu(netlink: Netlink, route: Route) -> int | None:
    if route.mtu is not None:
        return route.mtu
    link = netlink.link_at(route.link)
    return None if link is None else link.mtu


_BUILT_IN_TABLES: Final = {"default": 253, "main": 254, "local": 255}
_TABLE_DIRECTORIES: Final = (
    Path("/usr/share/iproute2"),
    Path("/usr/lib/iproute2"),
    Path("/etc/iproute2"),
)
_TABLE_LINE: Final = re.compile(r"\s*(?P<number>0x[0-9a-fA-F]+|[0-9]+)\s+(?P<name>[^\s#]+)")

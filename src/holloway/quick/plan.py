"""What `wg-quick up` does, as steps: pure, from a configuration and facts about the host.

In three parts, because each depends on what the one before and the user's hooks have made true:
`create` the device, `address` it, `route` to it. `check` refuses, before the first step, what
would fail later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_interface, ip_network
from typing import Final

from holloway.errors import HollowayError
from holloway.model import AllowedIP, Device, DeviceUpdate
from holloway.quick.facts import Facts
from holloway.quick.netlink import Interface, Network
from holloway.quick.steps import (
    AddAddress,
    AddLink,
    AddRoute,
    Configure,
    Hook,
    SetMtuUp,
    Step,
)
from holloway.text.quick import QuickConfig

OVERHEAD: Final = 80  # IPv6 40, UDP 8, WireGuard 32 (whitepaper, 5.4.6)


def create(name: str, config: QuickConfig, resolve: Callable[[], DeviceUpdate]) -> list[Step]:
    """Make the device and give it its keys and peers."""
    # Tools after 2021 run PreUp when the link is there, so that a hook may set its key.
    return [AddLink(name), *hooks("PreUp", config.pre_up, name), Configure(name, resolve)]


def address(name: str, config: QuickConfig, facts: Facts) -> list[Step]:
    """Give the interface its addresses and its MTU, and bring it up."""
    steps: list[Step] = [AddAddress(name, text, interface(text)) for text in config.addresses]
    mtu = facts.path_mtu - OVERHEAD if config.mtu is None else config.mtu
    return [*steps, SetMtuUp(name, mtu)]


def route(name: str, config: QuickConfig, device: Device, facts: Facts) -> list[Step]:
    """Lead every allowed network into the interface, the longest prefix first."""
    allowed = {entry for peer in device.peers for entry in peer.allowed_ips}
    networks = [_network(entry) for entry in sorted(allowed, key=_route_order, reverse=True)]
    after = hooks("PostUp", config.post_up, name)
    if config.table == TABLE_OFF:
        return after
    if config.table is None or config.table == TABLE_AUTO:
        _refuse_default_routes(networks)
        covered = Coverage(facts.covered)
        return [*(AddRoute(name, each) for each in networks if each not in covered), *after]
    number = table_number(config.table, facts.tables)
    return [*(AddRoute(name, each, config.table, number) for each in networks), *after]


def hooks(phase: str, commands: Iterable[str], name: str) -> list[Step]:
    """Make the steps of a phase; `%i` stands for the interface."""
    return [Hook(phase, command.replace("%i", name), name) for command in commands]


def interface(text: str) -> Interface:
    """Read an `Address`, without a prefix length a single host; raises ValueError."""
    if "%" in text:
        raise ValueError(f"an address of an interface has no zone: `{text}'")
    return ip_interface(text)


def table_number(table: str, tables: Mapping[str, int]) -> int:
    """Read a `Table` that is neither `off` nor `auto`, by number or name; raises ValueError."""
    try:
        number = int(table, 0)
    except ValueError:
        if table in tables:
            return tables[table]
        raise ValueError(f"`{table}' is neither off, auto, a number nor a known table") from None
    if not 0 < number <= TABLE_MAX:
        raise ValueError(f"`{table}' is not a table number from 1 to {TABLE_MAX}")
    return number


class Coverage:
    """The destinations that lead to an interface: `in` tells whether one includes a network.

    As `ip route show dev IF match NETWORK` does, only prefixes at most as long count.
    """

    def __init__(self, destinations: Iterable[Network]) -> None:
        self._known = set(destinations)
        self._lengths = {(each.version, each.prefixlen) for each in self._known}

    def __contains__(self, network: Network) -> bool:
        return any(
            network.supernet(new_prefix=length) in self._known
            for version, length in self._lengths
            if version == network.version and length <= network.prefixlen
        )


def _refuse_default_routes(networks: Iterable[Network]) -> None:
    # In the main table it would lead the tunnel's own packets into the tunnel.
    for network in networks:
        if network.prefixlen == 0:
            raise HollowayError(f"AllowedIPs: `{network}' needs policy routing")


def _network(allowed: AllowedIP) -> Network:
    return ip_network((allowed.address, allowed.cidr))


def _route_order(allowed: AllowedIP) -> tuple[int, str]:
    # `sort -nr -k 2 -t /` in the C locale: by prefix length, then by the whole text.
    return allowed.cidr, str(allowed)


TABLE_OFF: Final = "off"
TABLE_AUTO: Final = "auto"
TABLE_MAX: Final = 2**32 - 1  # linux/rtnetlink.h, RT_TABLE_MAX

"""What `wg-quick up` does, as steps: pure, from a configuration and facts about the host.

There are three parts, because each depends on the results of the one before and of the user's
hooks: `create` the device, `address` it, `route` to it. `check` refuses, before the first step,
what would fail later. Name servers and default routes are loaded where a file has some.
"""

from __future__ import annotations

from ipaddress import ip_interface, ip_network
from typing import TYPE_CHECKING, Final

from holloway.netlink.route import Route
from holloway.quick.facts import AUTOMATIC, TABLE_OFF, names_table
from holloway.quick.network_steps import AddAddress, AddRoutes, SetMtuUp
from holloway.quick.steps import AddLink, Configure, Hook, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from holloway.model import AllowedIP, Device, DeviceUpdate
    from holloway.netlink.route import Interface, Network
    from holloway.quick.facts import Facts
    from holloway.text.quick import QuickConfig

OVERHEAD: Final = 80  # IPv6 40, UDP 8, WireGuard 32 (whitepaper, 5.4.6)


def create(name: str, config: QuickConfig, resolve: Callable[[], DeviceUpdate]) -> list[Step]:
    """Create the device and give it its keys and peers."""
    # Tools after 2021 run PreUp when the link exists, so that a hook may set its key.
    return [AddLink(name), *hooks("PreUp", config.pre_up, name), Configure(name, resolve)]


def address(name: str, config: QuickConfig, facts: Facts) -> list[Step]:
    """Give the interface its addresses, its MTU and its name servers, and bring it up."""
    steps: list[Step] = [AddAddress(name, text, interface(text)) for text in config.addresses]
    steps.append(SetMtuUp(name, mtu(config, facts)))
    if not config.dns:
        return steps
    from holloway.quick import dns

    return [*steps, *dns.add(name, dns.Servers.parse(config.dns), facts.dns)]


def route(name: str, config: QuickConfig, device: Device, facts: Facts) -> list[Step]:
    """Route every allowed network into the interface, the longest prefix first."""
    networks = allowed_networks(device)
    routes = wanted_routes(networks, config, facts)
    table = config.table if names_table(config) else None
    steps: list[Step] = [AddRoutes(name, routes, table)] if routes else []
    if versions := default_versions(networks, config):
        from holloway.quick import default_route

        steps += default_route.add(device, versions, facts)
    return [*steps, *hooks("PostUp", config.post_up, name)]


def mtu(config: QuickConfig, facts: Facts) -> int:
    """Return the file's MTU, or what fits into the narrowest path to a peer."""
    return facts.path_mtu - OVERHEAD if config.mtu is None else config.mtu


def allowed_networks(device: Device) -> list[Network]:
    """Return what the peers may send from, in the order in which upstream routes it."""
    allowed = {entry for peer in device.peers for entry in peer.allowed_ips}
    return [_network(entry) for entry in sorted(allowed, key=_route_order, reverse=True)]


def wanted_routes(
    networks: Iterable[Network], config: QuickConfig, facts: Facts
) -> tuple[Route, ...]:
    """Return the routes that a file asks for, without default routes that need policy routing."""
    if config.table == TABLE_OFF:
        return ()
    if names_table(config):
        assert config.table is not None
        number = table_number(config.table, facts.tables)
        return tuple(Route(network, number) for network in networks)
    covered = Coverage(facts.covered)
    return tuple(Route(each) for each in networks if each.prefixlen > 0 and each not in covered)


def default_versions(networks: Iterable[Network], config: QuickConfig) -> list[int]:
    """Return the IP versions whose default route needs policy routing."""
    if config.table not in AUTOMATIC:
        return []
    return [network.version for network in networks if network.prefixlen == 0]


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
    """The destinations that are routed to an interface; `in`: whether one includes a network.

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


def _network(allowed: AllowedIP) -> Network:
    return ip_network((allowed.address, allowed.cidr))


def _route_order(allowed: AllowedIP) -> tuple[int, str]:
    # `sort -nr -k 2 -t /` in the C locale: by prefix length, then by the whole text.
    return allowed.cidr, str(allowed)


TABLE_MAX: Final = 2**32 - 1  # linux/rtnetlink.h, RT_TABLE_MAX

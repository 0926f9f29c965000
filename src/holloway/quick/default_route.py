"""How an interface takes the default route without taking its own packets: policy routing. Pure.

The device marks its packets; all others ask a table of its own that holds nothing but the default
route, after they have asked the main table for any more specific one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_network
from typing import Final

from holloway.model import Device
from holloway.netlink.route import TABLE_MAIN, Network, Route, Rule
from holloway.quick import firewall
from holloway.quick.facts import Facts
from holloway.quick.network_steps import (
    AddRoutes,
    AddRule,
    DeleteRoutes,
    DeleteRule,
    SetFwmark,
    SetValidMark,
)
from holloway.quick.steps import Reordered, Reversible, Step


def add(device: Device, versions: Sequence[int], facts: Facts) -> list[Step]:
    """Lead all packets but the device's own into it; it gets a mark if it has none."""
    if not versions:
        return []
    if device.fwmark:
        return [
            _add_for_version(device.name, device.fwmark, version, facts) for version in versions
        ]
    mark = facts.free_table
    return [
        Reversible(SetFwmark(device.name, mark), SetFwmark(device.name, 0)),
        *(_add_for_version(device.name, mark, version, facts) for version in versions),
    ]


def _add_for_version(name: str, mark: int, version: int, facts: Facts) -> Step:
    """Everything that a family needs.

    Told is it as upstream did it in 2021. It takes effect at once with the last step, the route:
    with a route before the rules, packets for the local network would leave through the tunnel,
    and with one before the firewall, strangers could reach the interface's addresses.
    """
    route = AddRoutes(name, default(version, mark), str(mark))
    added = Reversible(route, DeleteRoutes(name, route.routes, route.table))
    # A later rule is asked before an earlier one, so the order of these two is essential.
    rules = [Reversible(AddRule(rule), DeleteRule(rule)) for rule in rules_for(version, mark)]
    loaded = firewall.load(name, version, mark, facts.addresses, nft=facts.nft)
    sysctl = [Reversible(SetValidMark(), SetValidMark(value=False))] if version == 4 else []
    needed = [] if facts.valid_mark else sysctl
    return Reordered(
        printed=(added, *rules, *sysctl, loaded), applied=(*needed, loaded, *rules, added)
    )


def remove(mark: int, versions: Iterable[int], present: Sequence[Rule]) -> list[DeleteRule]:
    """Take the rules of `add` away, as far as they are there; the rules of others stay.

    Every interface that takes the default route adds a guard that looks alike, for the rule that
    comes next: so it is the one before its own that goes.
    """
    steps: list[DeleteRule] = []
    for version in versions:
        marked, general = rules_for(version, mark)
        guards: list[Rule] = []
        for rule in present:
            if rule == general:
                guards.append(rule)
            elif rule == marked:
                steps += map(DeleteRule, [rule, *guards[-1:]])
                del guards[-1:]
    return steps


def rules_for(version: int, mark: int) -> tuple[Rule, Rule]:
    """The two rules of a family: what is not marked, and what the main table knows better."""
    return (
        Rule(version, mark, unless_mark=mark),
        Rule(version, TABLE_MAIN, suppress_default=True),
    )


def default(version: int, mark: int) -> tuple[Route]:
    """The default route in the table of its own."""
    return (Route(DEFAULTS[version], mark),)


def versions_of(networks: Iterable[Network]) -> list[int]:
    """The IP versions whose default route is among networks, in their order."""
    return [network.version for network in networks if network.prefixlen == 0]


DEFAULTS: Final = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}

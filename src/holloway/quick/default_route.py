"""How an interface takes the default route, but not of its own packets: policy routing. Pure.

The device marks its packets. All others are looked up in a table that has nothing but the default
route, after the main table was searched for a more specific one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_network
from typing import Final

from holloway.model import Device
from holloway.netlink.route import TABLE_MAIN, Route, Rule
from holloway.quick import firewall
from holloway.quick.facts import Facts
from holloway.quick.network_steps import AddRoutes, DeleteRoutes
from holloway.quick.policy_steps import AddRule, DeleteRule, SetFwmark, SetValidMark
from holloway.quick.steps import Reordered, Reversible, Step


def add(device: Device, versions: Sequence[int], facts: Facts) -> list[Step]:
    """Route all packets but the device's own into it; it gets a mark if it has none."""
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
    """Return everything that a family needs.

    It is printed in upstream's order of 2021. It takes effect at once with the last step, the
    route: with a route before the rules, packets for the local network would leave through the
    tunnel, and with one before the firewall, strangers could reach the interface's addresses.
    """
    route = AddRoutes(name, default(version, mark), str(mark))
    added = Reversible(route, DeleteRoutes(name, route.routes, route.table))
    # A later rule is evaluated before an earlier one, so the order of these two is essential.
    rules = [Reversible(AddRule(rule), DeleteRule(rule)) for rule in rules_for(version, mark)]
    loaded = firewall.load(name, version, mark, facts.addresses, nft=facts.nft)
    sysctl = [Reversible(SetValidMark(), SetValidMark(value=False))] if version == 4 else []
    needed = [] if facts.valid_mark else sysctl
    return Reordered(
        printed=(added, *rules, *sysctl, loaded), applied=(*needed, loaded, *rules, added)
    )


def remove(mark: int, versions: Iterable[int], present: Sequence[Rule]) -> list[DeleteRule]:
    """Delete the rules of `add`, as far as they exist; the rules of others stay.

    Every interface that takes the default route adds a rule for the main table that looks the same
    and guards the rule after it: so the one before the interface's own rule is deleted.
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
    """The two rules of a family: for unmarked packets, and for more specific routes before that."""
    return (
        Rule(version, mark, unless_mark=mark),
        Rule(version, TABLE_MAIN, suppress_default=True),
    )


def default(version: int, mark: int) -> tuple[Route]:
    """The default route in the table of its own."""
    return (Route(DEFAULTS[version], mark),)


DEFAULTS: Final = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}

"""The least steps that change an interface in use to what its file now says, in an order in which
nothing leaks. Pure; `reload` runs them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from holloway.model import Device, DeviceUpdate
from holloway.netlink.route import Interface, Route, Rule
from holloway.quick import default_route, firewall
from holloway.quick.address_steps import ReplaceAddresses, SetMtu, address_changes
from holloway.quick.facts import Facts
from holloway.quick.network_steps import AddRoutes, DeleteRoutes
from holloway.quick.policy_steps import AddRule, SetFwmark
from holloway.quick.saved_state import SavedState
from holloway.quick.steps import Restorable, Reversible, Step

IPV6_LEAST_MTU: Final = 1280  # RFC 8200, 5: below it, the kernel takes IPv6 off the link


def mtu(name: str, present: int, last: int, wanted: int) -> list[Step]:
    """Change the MTU if the file asks for another one than before; `last` 0: unknown."""
    if wanted in {last, present}:
        return []
    return [Reversible(SetMtu(name, wanted), SetMtu(name, present))]


def addresses(name: str, have: Sequence[Interface], want: Sequence[Interface]) -> list[Step]:
    """Replace one list of addresses by another; routes show which is first of a network."""
    if address_changes(have, want) == ((), ()):
        return []
    old, new = tuple(have), tuple(want)
    return [Reversible(ReplaceAddresses(name, old, new), ReplaceAddresses(name, new, old))]


def routes(
    name: str, have: Sequence[Route], want: Sequence[Route], tables: tuple[str | None, str | None]
) -> list[Step]:
    """Add what is missing, then delete the rest; `tables` are the old and the new name.

    `have` are the routes that wg-quick added and that still exist.
    """
    present, wanted = set(have), set(want)
    gone = tuple(route for route in have if route not in wanted)
    added = tuple(route for route in want if route not in present)
    old, new = tables
    steps: list[Step] = []
    if added:
        steps.append(Reversible(AddRoutes(name, added, new), DeleteRoutes(name, added, new)))
    if gone:
        steps.append(Reversible(DeleteRoutes(name, gone, old), AddRoutes(name, gone, old)))
    return steps


def mark(device: Device, update: DeviceUpdate, before: SavedState, *, needed: bool) -> int:
    """Return the new mark of the device, 0 for none or one that is still to be chosen.

    A mark that wg-quick chose stays as long as it is needed: without it, the tunnel's own packets
    would go into the tunnel. A mark that a hook set stays in any case.
    """
    if update.fwmark:
        return update.fwmark
    if before.chosen_mark and before.chosen_mark == device.fwmark:
        return device.fwmark if needed else 0
    dropped = before.settings.fwmark or update.fwmark == 0
    return 0 if dropped else device.fwmark


@dataclass(frozen=True, slots=True)
class DefaultRoutes:
    """The default routes that an interface has, and the host before and after its addresses
    changed.
    """

    device: Device
    before: SavedState
    then: Facts
    now: Facts
    rules: Sequence[Rule]

    def steps(self, mark: int, versions: Sequence[int]) -> list[Step]:
        """Add and delete default routes, so that the interface has those of `versions`.

        `mark` is the new mark of the device, 0 if one is to be chosen where needed.
        """
        name, last = self.device.name, self.before
        chosen = mark or (self.now.free_table if versions else 0)
        stay = set(versions) & set(last.defaults) if chosen == last.mark else set()
        taken = [version for version in versions if version not in stay]
        mark_steps: list[Step] = []
        if chosen != self.device.fwmark:
            marks = SetFwmark(name, chosen), SetFwmark(name, self.device.fwmark)
            mark_steps.append(Reversible(*marks))
        steps = default_route.add(replace(self.device, fwmark=chosen), taken, self.now)
        for version in sorted(stay):
            steps += self._reload_firewall(version)
        for version in last.defaults:
            if version not in stay:
                steps += self._remove(version, protected=version in versions)
        # As long as there is a default route, the device's own packets have a mark.
        return [*mark_steps, *steps] if versions else [*steps, *mark_steps]

    def _reload_firewall(self, version: int) -> list[Step]:
        """Protect the present addresses."""
        old, new = self._firewall_step(self.then, version), self._firewall_step(self.now, version)
        return [] if old == new else [Restorable(new, old)]

    def _remove(self, version: int, *, protected: bool) -> list[Step]:
        """Delete a default route, the route itself first: without it the rules have no effect."""
        name, mark = self.device.name, self.before.mark
        route, table = default_route.default(version, mark), str(mark)
        steps: list[Step] = [
            Reversible(DeleteRoutes(name, route, table), AddRoutes(name, route, table))
        ]
        for step in reversed(default_route.remove(mark, [version], self.rules)):
            steps.append(Reversible(step, AddRule(step.rule)))
        if not protected:
            removing = firewall.RemoveRules(name, version, self.then.nft)
            steps.append(Restorable(removing, self._firewall_step(self.then, version)))
        return steps

    def _firewall_step(self, facts: Facts, version: int) -> Step:
        mark = self.before.mark
        return firewall.load(self.device.name, version, mark, facts.addresses, nft=facts.nft)


def warnings(name: str, before: SavedState, now: SavedState) -> list[str]:
    """Return what to tell the user: what a reload has not changed."""
    messages = []
    last, hooks = before.hooks or now.hooks, now.hooks
    changed = [phase for phase in ("PreUp", "PostUp") if last.get(phase) != hooks.get(phase)]
    if changed:
        verb = "has" if len(changed) == 1 else "have"
        messages.append(
            f"[!] {' and '.join(changed)} {verb} changed. Restart {name} to run what is new."
        )
    if before.settings.private_key and not now.settings.private_key:
        messages.append(
            f"[!] PrivateKey is no longer in the file. {name} keeps its key until restarted."
        )
    return messages

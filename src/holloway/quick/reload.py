"""`wg-quick reload`: changes the interface to what the file now says, and nothing else.

Addresses and routes are changed first, and the peers last and in one request: a failure before
that leaves every session as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from holloway.model import Device, DeviceUpdate
from holloway.netlink.route import TABLE_MAIN, Interface, Link, Route
from holloway.quick import changes, default_route, dns, facts, plan, reload_steps, saved_state, up
from holloway.quick.check import check
from holloway.quick.facts import Facts
from holloway.quick.run import Transaction
from holloway.quick.saved_state import SavedState
from holloway.quick.source import Source
from holloway.quick.steps import Host, print_message
from holloway.text.quick import QuickConfig


def reload(source: Source, resolve: Callable[[], DeviceUpdate], host: Host) -> None:
    """Apply the file, or leave the interface as it was; raises HollowayError."""
    name, config = source.interface, source.config
    check(source)
    with source.locked(), host.interrupts.handled(), Transaction(host) as transaction:
        with host.interrupts.interruptible():
            update = resolve()
        link = host.netlink.link(name)
        assert link is not None  # or the command would have refused
        device = host.find(name).get()
        before = saved_state.load(name, link.index) or infer_state(host, device)
        reloading = _Reload(config, host, transaction, link, device, update, before)
        state = reloading.run()
        up.save_state(host, name, state)
    for line in reload_steps.warnings(name, before, state):
        print_message(line)


def infer_state(host: Host, device: Device) -> SavedState:
    """Return the record that fits what another wg-quick did when it brought the interface up."""
    networks = set(plan.allowed_networks(device))
    routes = host.netlink.routes(device.name)
    mark, rules = device.fwmark, host.netlink.rules()
    versions = [v for v in (4, 6) if mark and default_route.rules_for(v, mark)[0] in rules]
    return SavedState(
        addresses=tuple(map(str, _addresses(host, device.name))),
        routes=tuple(
            route
            for route in routes
            if route.manual and route.table == TABLE_MAIN and route.network in networks
        ),
        mark=mark if versions else 0,
        chosen_mark=mark if versions else 0,
        defaults=tuple(versions),
    )


@dataclass(frozen=True, slots=True)
class _Reload:
    """One run: the state before it, and what the file asks for."""

    config: QuickConfig
    host: Host
    transaction: Transaction
    link: Link
    device: Device
    update: DeviceUpdate
    before: SavedState

    def run(self) -> SavedState:
        """Change the interface, and return its new state."""
        name = self.device.name
        wanted = changes.applied(self.device, self.update, self.before.settings)
        networks = plan.allowed_networks(wanted)
        defaults = plan.default_versions(networks, self.config)
        mark = reload_steps.mark(self.device, self.update, self.before, needed=bool(defaults))
        wanted = replace(wanted, fwmark=mark)

        then = self._facts(wanted)
        mtu = plan.mtu(self.config, then)
        self._adjust_link(mtu)
        now = self._facts(wanted)
        state = up.new_state(self.config, self.update, wanted, now, mtu)
        if mark and self.before.chosen_mark == mark:
            state = replace(state, chosen_mark=mark)

        have = set(self.host.netlink.routes(name))
        present = [route for route in self.before.routes if route in have]
        tables = (table_label(self.before.table), table_label(self.config.table))
        run = self.transaction.run
        run(reload_steps.routes(name, present, state.routes, tables))
        default_routes = reload_steps.DefaultRoutes(
            self.device, self.before, then, now, self.host.netlink.rules()
        )
        run(default_routes.steps(mark, defaults))
        last, servers = dns.Servers.parse(self.before.dns), dns.Servers.parse(self.config.dns)
        run(dns.change(name, last, servers, facts.dns_tool()))
        # What is undone after this would be without its sessions.
        self.transaction.finish(changes.change(self.device, wanted))
        return state

    def _adjust_link(self, mtu: int) -> None:
        """Change MTU and addresses; IPv6 addresses need an MTU that carries them."""
        name, run = self.device.name, self.transaction.run
        # Where the MTU of the last run is unknown, only a value in the file changes it.
        last = self.before.mtu or (mtu if self.config.mtu is None else 0)
        step = reload_steps.mtu(name, self.link.mtu, last, mtu)
        if mtu >= self.link.mtu:
            run(step)
        interfaces = map(plan.interface, self.config.addresses)
        want = [
            each for each in interfaces if each.version == 4 or mtu >= reload_steps.IPV6_LEAST_MTU
        ]
        present = set(_addresses(self.host, name))
        # In the order in which they were added, which the kernel does not keep for IPv6.
        have = [each for each in map(plan.interface, self.before.addresses) if each in present]
        run(reload_steps.addresses(name, have, want))
        if mtu < self.link.mtu:
            run(step)

    def _facts(self, wanted: Device) -> Facts:
        """Observe the host, with the paths to the peers of the new file."""
        # With the mark that is in use: the new one has no rules yet.
        marked = replace(wanted, fwmark=self.device.fwmark)
        found = facts.observe(self.host.netlink, self.config, marked)
        main = {route for route in self.before.routes if route.table == TABLE_MAIN}
        routes: list[Route] = self.host.netlink.routes(wanted.name)
        covered = [r.network for r in routes if r.table == TABLE_MAIN and r not in main]
        return replace(found, covered=tuple(covered))


def table_label(table: str | None) -> str | None:
    """Return how a table is printed: not at all if it is the main one."""
    return None if table in facts.AUTOMATIC else table


def _addresses(host: Host, name: str) -> list[Interface]:
    return [each.interface for each in host.netlink.addresses(name) if not each.automatic]

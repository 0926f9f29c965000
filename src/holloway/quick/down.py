"""`wg-quick down`: run the hooks, save the state if the file asks for it, remove the interface.

Once the removal has begun, as much as possible is removed, even if some of it fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holloway.quick import facts, firewall, plan, runtime, saved_state
from holloway.quick.run import Failed, Transaction, attempt
from holloway.quick.steps import DeleteLink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holloway.quick.source import Source
    from holloway.quick.steps import Host, Step


def down(source: Source, host: Host) -> None:
    """Take the interface down; raises HollowayError; PreDown ends before any removal."""
    name, config = source.interface, source.config
    saving: list[Step] = []
    if config.save_config:
        from holloway.quick.save import SaveConfiguration

        saving.append(SaveConfiguration(source))
    with source.locked(), host.interrupts.handled():
        with Transaction(host) as transaction:
            transaction.run([*plan.hooks("PreDown", config.pre_down, name), *saving])
        removed = attempt(removal(source, host), host)
        # Only now, because it protects the interface as long as that exists.
        removed &= attempt(firewall.removal(name), host)
        saved_state.remove(name)
        with Transaction(host) as transaction:
            transaction.run(plan.hooks("PostDown", config.post_down, name))
        if not removed:
            raise Failed


def removal(source: Source, host: Host) -> list[Step]:
    """Make the steps that remove an interface, its rules and its name servers."""
    name = source.interface
    early, late = _dns_steps(source)
    return [*early, *_rules(source, host), DeleteLink(name), *late]


def _dns_steps(source: Source) -> tuple[list[Step], list[Step]]:
    """Make the steps for the name servers: before and after the interface is removed."""
    name = source.interface
    if not source.config.dns and not runtime.resolv_conf(name).is_file():
        return [], []
    from holloway.quick import dns

    tool = facts.dns_tool() if source.config.dns else facts.DnsTool.FILE
    steps = dns.remove(name, dns.Servers.parse(source.config.dns), tool)
    # resolved itself forgets a link that was removed, and refuses its name from then on.
    early: list[Step] = [step for step in steps if isinstance(step, dns.ResolvectlRevert)]
    return early, [step for step in steps if step not in early]


def _rules(source: Source, host: Host) -> list[Step]:
    """Delete the rules of the default routes that the interface took."""
    name = source.interface
    link = host.netlink.link(name)
    state = None if link is None else saved_state.load(name, link.index)
    # The file may have changed since the interface came up.
    mark, versions = (
        _default_routes(source, host) if state is None else (state.mark, state.defaults)
    )
    if not versions:
        return []
    from holloway.quick import default_route

    return [*default_route.remove(mark, sorted(versions), host.netlink.rules())]


def _default_routes(source: Source, host: Host) -> tuple[int, Sequence[int]]:
    """Return mark and IP versions of the default routes of an interface without a record."""
    name = source.interface
    if source.config.table not in facts.AUTOMATIC:
        return 0, ()
    device = host.find(name).get()
    routes = host.netlink.routes(name)
    versions: set[int] = {route.network.version for route in routes if route.table == device.fwmark}
    networks = plan.allowed_networks(device)
    versions |= set(plan.default_versions(networks, source.config))
    return device.fwmark, tuple(versions) if device.fwmark else ()

"""`wg-quick down`: the hooks, the state saved if the file asks for it, the interface removed.

Once the interface begins to go, everything of it is removed as far as that is possible.
"""

from __future__ import annotations

from collections.abc import Sequence

from holloway.quick import default_route, dns, firewall, plan, saved_state
from holloway.quick.run import Failed, Transaction, attempt
from holloway.quick.save import SaveConfiguration
from holloway.quick.source import Source
from holloway.quick.steps import DeleteLink, Host, Step


def down(source: Source, host: Host) -> None:
    """Take the interface down; raises HollowayError, before PreDown's end with nothing removed."""
    name, config = source.interface, source.config
    saving: list[Step] = [SaveConfiguration(source)] if config.save_config else []
    with source.locked(), host.interrupts.handled():
        with Transaction(host) as transaction:
            transaction.run([*plan.hooks("PreDown", config.pre_down, name), *saving])
        removed = attempt(removal(source, host), host)
        # Looked for only now: it protects the interface as long as that is there.
        removed &= attempt(firewall.removal(name), host)
        saved_state.remove(name)
        with Transaction(host) as transaction:
            transaction.run(plan.hooks("PostDown", config.post_down, name))
        if not removed:
            raise Failed


def removal(source: Source, host: Host) -> list[Step]:
    """The steps that remove an interface, its rules and its name servers."""
    name = source.interface
    dns_steps = dns.remove(name, dns.Servers.parse(source.config.dns), dns.dns_tool())
    # resolved forgets a link that is gone by itself, and then does not know it any more.
    early = [step for step in dns_steps if isinstance(step, dns.ResolvectlRevert)]
    late = [step for step in dns_steps if step not in early]
    return [*early, *_rules(source, host), DeleteLink(name), *late]


def _rules(source: Source, host: Host) -> list[Step]:
    """Delete the rules of the default routes that the interface took."""
    name = source.interface
    link = host.netlink.link(name)
    state = None if link is None else saved_state.load(name, link.index)
    # The file may say something else by now than when the interface came up.
    mark, versions = (
        _default_routes(source, host) if state is None else (state.mark, state.defaults)
    )
    return [*default_route.remove(mark, sorted(versions), host.netlink.rules())]


def _default_routes(source: Source, host: Host) -> tuple[int, Sequence[int]]:
    """The mark and the IP versions of the default routes of an interface without a record."""
    name = source.interface
    if source.config.table not in plan.AUTOMATIC:
        return 0, ()
    device = host.find(name).get()
    routes = host.netlink.routes(name)
    versions: set[int] = {route.network.version for route in routes if route.table == device.fwmark}
    versions |= set(default_route.versions_of(plan.allowed_networks(device)))
    return device.fwmark, tuple(versions) if device.fwmark else ()

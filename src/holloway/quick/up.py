"""`wg-quick up`: the three parts of the plan, each made when the one before is true."""

from __future__ import annotations

from collections.abc import Callable

from holloway.errors import HollowayError
from holloway.model import DeviceUpdate
from holloway.quick import facts, plan
from holloway.quick.check import check
from holloway.quick.run import Transaction
from holloway.quick.source import Source
from holloway.quick.steps import Host


def up(source: Source, resolve: Callable[[], DeviceUpdate], host: Host) -> None:
    """Bring the interface up whole, or leave the host as it was; raises HollowayError."""
    name, config = source.interface, source.config
    check(source, facts.named_tables())
    if host.netlink.link(name) is not None:
        raise HollowayError(f"`{name}' already exists")
    with source.locked(), host.interrupts.handled(), Transaction(host) as transaction:
        transaction.run(plan.create(name, config, resolve))
        device = host.find(name).get()
        transaction.run(plan.address(name, config, facts.observe(host.netlink, device)))
        # A hook may have changed the device meanwhile, and the addresses brought routes along.
        transaction.run(plan.route(name, config, device, facts.observe(host.netlink, device)))

"""`wg-quick up`: the three parts of the plan, each made when the one before has been applied.

`dry_run` returns the same steps as text and applies none: it plans for the host as it will be, as
far as hooks do not change it.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from holloway.errors import HollowayError
from holloway.quick import facts, plan, saved_state
from holloway.quick.check import check
from holloway.quick.run import Transaction, describe
from holloway.quick.saved_state import SavedSettings, SavedState
from holloway.quick.steps import device_program, fallback, print_message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holloway.model import Device, DeviceUpdate
    from holloway.quick.facts import Facts
    from holloway.quick.source import Source
    from holloway.quick.steps import Host, Step
    from holloway.text.quick import QuickConfig


def up(source: Source, resolve: Callable[[], DeviceUpdate], host: Host) -> None:
    """Bring the interface up whole, or leave the host as it was; raises HollowayError."""
    name, config = source.interface, source.config
    _refuse(source, host)
    look_up = cache(resolve)
    with source.locked(), host.interrupts.handled(), Transaction(host) as transaction:
        transaction.run(plan.create(name, config, look_up))
        device = host.find(name).get()
        found = facts.observe(host.netlink, config, device)
        transaction.run(plan.address(name, config, found))
        mtu = plan.mtu(config, found)
        # A hook may have changed the device, and the addresses have added routes.
        found = facts.observe(host.netlink, config, device)
        transaction.run(plan.route(name, config, device, found))
        save_state(host, name, new_state(config, look_up(), device, found, mtu))


def dry_run(source: Source, resolve: Callable[[], DeviceUpdate], host: Host) -> Iterator[str]:
    """Yield the lines that `up` would print; raises HollowayError where `up` would refuse."""
    from holloway.model import Device
    from holloway.quick.changes import applied

    name, config = source.interface, source.config
    _refuse(source, host)
    adding, *others = plan.create(name, config, resolve)
    yield from _lines(adding)
    if not facts.has_kernel_module():
        yield from (fallback(), f"[#] {device_program()} {name}")
    for step in others:
        yield from _lines(step)
    device = applied(Device(name), resolve(), SavedSettings())
    addresses = map(plan.interface, config.addresses)
    found = facts.predict(host.netlink, config, device, addresses)
    for step in [*plan.address(name, config, found), *plan.route(name, config, device, found)]:
        yield from _lines(step)


def new_state(
    config: QuickConfig, update: DeviceUpdate, device: Device, found: Facts, mtu: int
) -> SavedState:
    """Return the record of an `up` for which the host was `found` before the routes were added."""
    networks = plan.allowed_networks(device)
    defaults = plan.default_versions(networks, config)
    chosen = found.free_table if defaults and not device.fwmark else 0
    return SavedState(
        settings=SavedSettings.of(update),
        addresses=tuple(str(plan.interface(text)) for text in config.addresses),
        mtu=mtu,
        dns=tuple(config.dns),
        table=config.table,
        routes=plan.wanted_routes(networks, config, found),
        mark=device.fwmark or chosen,
        chosen_mark=chosen,
        defaults=tuple(defaults),
        hooks=saved_state.hook_digests(config),
    )


def save_state(host: Host, name: str, state: SavedState) -> None:
    """Write the record; if that fails, the interface is up all the same."""
    link = host.netlink.link(name)
    try:
        saved_state.save(name, 0 if link is None else link.index, state)
    except OSError as error:
        print_message(f"[!] A later reload will know less: {describe(error)}")


def _refuse(source: Source, host: Host) -> None:
    check(source)
    if host.netlink.link(source.interface) is not None:
        raise HollowayError(f"`{source.interface}' already exists")


def _lines(step: Step) -> list[str]:
    return [f"[#] {line}" for line in step.text.split("\n")]

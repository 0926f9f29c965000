"""`wg-quick down`: the hooks, the state saved if the file asks for it, the interface removed."""

from __future__ import annotations

from holloway.quick import plan
from holloway.quick.run import Transaction
from holloway.quick.save import SaveConfiguration
from holloway.quick.source import Source
from holloway.quick.steps import DeleteLink, Host, Step


def down(source: Source, host: Host) -> None:
    """Take the interface down; raises HollowayError, before PreDown's end with nothing removed."""
    name, config = source.interface, source.config
    saving: list[Step] = [SaveConfiguration(source)] if config.save_config else []
    with source.locked(), host.interrupts.handled(), Transaction(host) as transaction:
        transaction.run(
            [
                *plan.hooks("PreDown", config.pre_down, name),
                *saving,
                DeleteLink(name),
                *plan.hooks("PostDown", config.post_down, name),
            ]
        )

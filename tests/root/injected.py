"""Runs wg-quick with a failure or a signal injected before or after the change number N.

Usage: injected.py {fail|signal}-{before|after} N COMMAND...    Ends with 9 if there is no N.
A change is what a step does to the host; the steps themselves know nothing of this.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from typing import TYPE_CHECKING

from holloway.cli import wg_quick
from holloway.quick import (
    address_steps,
    changes,
    dns,
    firewall,
    network_steps,
    policy_steps,
    resolv_conf,
    steps,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from holloway.quick.steps import Host

NOT_REACHED = 9
NOT_CHANGES = {"Reversible", "Restorable", "Reordered"}
count = 0


def inject(kind: type, how: str, number: int) -> None:
    """Count the applications of a kind of step, and fail at the given number."""
    apply: Callable[[object, Host], None] = kind.apply  # type: ignore[attr-defined]

    def counted(step: object, host: Host) -> None:
        global count  # noqa: PLW0603
        count += 1
        here = count == number
        if here and how.endswith("before"):
            inject_failure(how)
        apply(step, host)
        if here and how.endswith("after"):
            inject_failure(how)

    kind.apply = counted  # type: ignore[attr-defined]


def inject_failure(how: str) -> None:
    if how.startswith("fail"):
        raise OSError(errno.EIO, "injected")
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> int:
    how, number, *command = sys.argv[1:]
    modules = [dns, firewall, resolv_conf, steps]
    if how != "fail-after":
        # What the kernel refuses it has not done, so these cannot fail and take effect.
        modules += [address_steps, changes, network_steps, policy_steps]
    for module in modules:
        for kind in vars(module).values():
            own = isinstance(kind, type) and kind.__module__ == module.__name__
            if own and hasattr(kind, "apply") and kind.__name__ not in NOT_CHANGES | {"Step"}:
                inject(kind, how, int(number))
    code = wg_quick.main(command)
    return NOT_REACHED if count < int(number) else code


sys.exit(main())

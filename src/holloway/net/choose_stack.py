"""Opens one of the two stacks: the kernel's where the system allows it. `running` calls it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from holloway.net.errors import NoNamespace
from holloway.net.kernel import KernelStack

if TYPE_CHECKING:
    from holloway.net.settings import Settings
    from holloway.net.stack import Stack

log = logging.getLogger(__name__)


async def open_stack(settings: Settings, wanted: str | None, buffer: int) -> tuple[Stack, str]:
    """Open the wanted stack, or the kernel's if possible; returns it and why it is this one."""
    arguments = (settings.name, settings.addresses, settings.mtu)
    reason = "it was asked for"
    if wanted != "userspace":
        kernel = KernelStack(*arguments)
        try:
            await kernel.open()
        except NoNamespace as error:
            if wanted == "kernel":
                raise
            reason = error.strerror or ""
            log.info("Using the userspace stack: %s", reason)
        else:
            return kernel, "the system allows private namespaces" if wanted is None else reason
    from holloway.net.userspace import UserspaceStack

    userspace = UserspaceStack(*arguments, buffer=buffer)
    await userspace.open()
    return userspace, reason

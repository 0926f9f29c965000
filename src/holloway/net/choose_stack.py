"""The slow parts of opening a network: looking up endpoints, and opening one of the two stacks.

Chooses the kernel's stack where the system allows it. `network` and `running` call it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING

from holloway.errors import ConfigError
from holloway.net.errors import NoNamespace
from holloway.net.kernel import KernelStack

if TYPE_CHECKING:
    from holloway.net.settings import Settings
    from holloway.net.stack import Stack

log = logging.getLogger(__name__)


async def look_up_endpoints(settings: Settings) -> Settings:
    """Have the system look up endpoints, and retry as long as wg(8); raises ConfigError."""
    if settings.source is None:
        return settings
    from holloway.control.resolve import SystemResolver

    given_up = threading.Event()

    def sleep(seconds: float) -> None:
        if given_up.wait(seconds):
            raise ConfigError("looking up the endpoint was cancelled")

    resolver = SystemResolver(lambda sentence: log.warning("%s", sentence), sleep=sleep)
    try:
        return await asyncio.to_thread(settings.resolved, resolver)
    finally:
        given_up.set()


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

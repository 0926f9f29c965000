"""Opens what a network runs on within a time limit, and says what took too long.

Looks endpoints up, then starts the stack and the tunnel. `network` calls it.
"""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING, Final

from holloway.net.running import Running

if TYPE_CHECKING:
    from holloway.net.settings import Settings

OPEN_TIMEOUT: Final = 30.0
"""Seconds. The system may take 10 to look a name up once; with None it is asked as wg(8) does."""


async def open_within(
    timeout: float | None, settings: Settings, wanted: str | None, buffer: int
) -> Running:
    """Open the wanted stack with its tunnel; raises TimeoutError, OSError and ConfigError."""
    step = "looking up the endpoints of its peers"
    try:
        async with asyncio.timeout(timeout) as limit:
            if settings.source is not None:
                from holloway.net.look_up import look_up_endpoints  # few files have names

                settings = await look_up_endpoints(settings)
            step = "starting its TCP/IP stack"
            return await Running.start(settings, wanted, buffer)
    except TimeoutError:
        if not limit.expired():
            raise
        reason = f"the network {settings.name} did not open within {timeout} seconds: {step}"
        raise TimeoutError(errno.ETIMEDOUT, reason) from None

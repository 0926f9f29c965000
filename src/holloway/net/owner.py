"""Who may use a network: the process that opened it and, of its event loops, the one that did.

A fork has none of the network's threads, and another event loop gets none of its events, so that
they would wait for ever; they get an error instead. `network` and `loop_thread` ask here.
"""

from __future__ import annotations

import asyncio
import os

from holloway.net.errors import forked


class Owner:
    """The process, and the event loop, that open a network. Make it inside that loop."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.get_running_loop()
        self.name = name
        self._process = os.getpid()

    @property
    def is_this_process(self) -> bool:
        """Whether this is the process that opened it, and not its fork."""
        return os.getpid() == self._process

    def require_process(self) -> None:
        """Raise OSError in a fork."""
        if not self.is_this_process:
            raise forked(self.name)

    def require_loop(self) -> None:
        """Raise OSError in a fork, RuntimeError in another event loop or another loop's thread."""
        self.require_process()
        require_loop(self.loop, f"the network {self.name}")


def require_loop(loop: asyncio.AbstractEventLoop, what: str) -> None:
    """Raise RuntimeError if another event loop runs in this thread, or this one in another."""
    running = running_loop()
    if running is loop:
        return
    if loop.is_closed():
        state = "is closed"
    elif running is not None or loop.is_running():
        state = "is not the one here"
    else:
        return
    raise RuntimeError(
        f"{what} belongs to the event loop that opened it, which {state}: open a network in each "
        "loop, or use holloway.open, whose networks any thread may use"
    )


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread, if one does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None

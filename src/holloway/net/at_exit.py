"""Closes the networks that a program leaves open when it ends, so that the other side learns it.

A fork leaves those of its parent alone. `running` says which are open.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import logging
import os
import sys
from typing import TYPE_CHECKING, Final

from holloway.net.errors import network_down
from holloway.net.owner import running_loop

if TYPE_CHECKING:
    from holloway.net.running import Running

log = logging.getLogger(__name__)


def add(running: Running) -> None:
    """Close it at the end of this process, before the handlers that `atexit` has so far."""
    _open.add(running)
    atexit.unregister(_close_all)
    atexit.register(_close_all)
    # A process of multiprocessing ends without the handlers of `atexit`.
    util = sys.modules.get("multiprocessing.util")
    process = sys.modules.get("multiprocessing.process")
    if util is None or process is None or process.parent_process() is None:
        return
    if os.getpid() not in _finalizing:
        _finalizing.add(os.getpid())
        util.Finalize(None, _close_all, exitpriority=0)


def remove(running: Running) -> None:
    """It is closed."""
    _open.discard(running)


def _close_all() -> None:
    reason = network_down("the network was closed because its program ended")
    for running in list(_open):
        if running.owner.is_this_process:
            try:
                _close(running, reason)
            except Exception:  # the others are to be closed, too
                log.debug("A network could not be closed", exc_info=True)


def _close(running: Running, reason: OSError) -> None:
    loop = running.owner.loop
    if loop.is_running() and loop is not running_loop():
        closing = asyncio.run_coroutine_threadsafe(running.close(reason), loop)
        with contextlib.suppress(TimeoutError, concurrent.futures.CancelledError):
            closing.result(LOOP_SECONDS)
            return
    running.close_now(reason)


LOOP_SECONDS: Final = 2
"""How long a loop in another thread, which may be blocked, has to close a network."""
_open: set[Running] = set()
_finalizing: set[int] = set()

"""An event loop in a thread of its own, in which any other thread runs coroutines.

It refuses the calls that would wait for ever: those of the loop's own thread, and those of a fork,
which has no such thread. `blocking` owns one for each network.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from holloway.net.errors import forked, network_down
from holloway.net.patch import outside

if TYPE_CHECKING:
    from collections.abc import Coroutine

Result = TypeVar("Result")


class LoopThread:
    """A running event loop, from its making to `stop`; `name` is that of its network."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._process = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._is_stopped = False
        self._thread = threading.Thread(
            target=_serve, args=(self._loop,), name=f"holloway {name}", daemon=True
        )
        try:
            self._thread.start()
        except BaseException:
            self._loop.close()
            raise

    @property
    def is_this_process(self) -> bool:
        """Whether this is the process that made it, and not its fork."""
        return os.getpid() == self._process

    @property
    def is_stopped(self) -> bool:
        """Whether it was asked to stop."""
        return self._is_stopped

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine and wait for its result; an interrupt of this thread cancels it."""
        future = self.submit(work)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            if self._is_stopped:
                raise network_down(CLOSED) from None
            raise
        except BaseException:
            future.cancel()
            raise
        finally:
            del future  # its exception refers to this frame

    def submit(self, work: Coroutine[Any, Any, Result]) -> concurrent.futures.Future[Result]:
        """Start a coroutine, without waiting for it."""
        try:
            self._require_other_thread()
            with outside():  # what the network itself connects leaves as it always did
                return asyncio.run_coroutine_threadsafe(work, self._loop)
        except BaseException as error:
            work.close()
            if self._is_stopped and isinstance(error, RuntimeError):  # just now
                raise network_down(CLOSED) from None
            raise

    def stop(self) -> None:
        """Cancel what still runs, and wait for the end of the thread."""
        self.stop_soon()
        self._thread.join()

    def stop_soon(self) -> None:
        """Like `stop`, without waiting."""
        self._is_stopped = True
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._loop.stop)

    def _require_other_thread(self) -> None:
        if not self.is_this_process:
            raise forked(self._name)
        if self._is_stopped:
            raise network_down(CLOSED)
        if threading.current_thread() is self._thread:
            raise RuntimeError(
                f"a blocking call in the event loop of the network {self._name} would wait for "
                "itself: in what `run` runs, await the methods of `network`, or call the blocking "
                "one by asyncio.to_thread"
            )


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    """Run the loop until it is stopped, then cancel what is left, as `asyncio.run` does."""
    try:
        loop.run_forever()
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


CLOSED = "the network is closed"

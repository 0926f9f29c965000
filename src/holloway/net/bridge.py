"""Runs coroutines of a network in its own event loop, for a program in another one.

A blocking network has its loop in a thread. `loop` waits for what happens there with asyncio, and
the adapters for trio and anyio with trio; both by `start`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any, TypeVar

from holloway.net.errors import network_down

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from holloway.net.blocking import BlockingNetwork

Result = TypeVar("Result")


def start(
    network: BlockingNetwork,
    work: Callable[[], Coroutine[Any, Any, Result]],
    done: Callable[[Result | None, BaseException | None], object],
) -> Callable[[], object]:
    """Start a coroutine function in the network's loop; returns the function that cancels it.

    `done` is called in that loop's thread with the result or the error, also after a cancellation
    that came too late, so that nobody forgets to close a socket.
    """

    async def report() -> None:
        try:
            result = await work()
        except asyncio.CancelledError:
            # By the caller, who waits no more, or because the network's loop ends.
            done(None, network_down("the network is closed"))
            raise
        except BaseException as error:
            done(None, error)
        else:
            done(result, None)

    return network.submit(report()).cancel


async def call(network: BlockingNetwork, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run a coroutine function in the network's loop, and wait for it in asyncio's running loop."""
    loop = asyncio.get_running_loop()
    waiting: asyncio.Future[Result] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if waiting.done():
            close(result)
        elif error is not None:
            waiting.set_exception(error)
        else:
            waiting.set_result(result)

    def done(result: Any, error: BaseException | None) -> None:
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:  # the waiting loop is closed
            close(result)

    cancel = start(network, work, done)
    try:
        return await waiting
    except asyncio.CancelledError:
        cancel()
        # The result may have come in the turn of the loop in which this was cancelled.
        if waiting.done() and not waiting.cancelled() and waiting.exception() is None:
            close(waiting.result())
        raise


def close(result: object) -> None:
    """Close a socket that nobody waits for any more."""
    if isinstance(result, socket.socket):
        with contextlib.suppress(OSError):
            result.close()

"""Blocking calls in threads that the interpreter's exit does not wait for.

The threads of `asyncio.to_thread` keep a program alive until the call returns, which a look-up may
take a minute to do. The interpreter ends such a thread where it next needs the interpreter's lock,
which must not be in a call by or from Rust: that would abort the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")


async def in_daemon_thread(function: Callable[..., Result], *arguments: Any) -> Result:
    """Call a function in a thread of its own; cancelling this lets the thread go on alone.

    Raises RuntimeError if no thread can be started.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()

    def report(finish: Callable[[Any], None], value: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(lambda: None if done.done() else finish(value))

    def call() -> None:
        try:
            result = function(*arguments)
        except BaseException as error:  # it is raised where this is awaited
            report(done.set_exception, error)
        else:
            report(done.set_result, result)

    threading.Thread(target=call, name=f"holloway {function.__name__}", daemon=True).start()
    return await done

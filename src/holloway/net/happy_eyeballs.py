"""Connecting to one of several addresses: in turn, or overlapping (RFC 8305), as asyncio does.

asyncio has it within `create_connection` only, where it makes the sockets itself. `loop` uses it.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

from holloway.net.bridge import close
from holloway.net.stack import family_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from socket import socket as Socket  # noqa: N812  # as in `stack`

    from holloway.net.stack import Address

    Connect = Callable[[Address], Coroutine[Any, Any, Socket]]


async def connect_any(
    addresses: Sequence[Address],
    connect: Connect,
    delay: float | None = None,
    all_errors: bool = False,
) -> Socket:
    """Return the first socket that is connected; raises one error if they agree.

    Starts the next attempt when the last one has failed, or after `delay` seconds.
    """
    errors: list[OSError] = []
    waiting = list(addresses)
    attempts: set[asyncio.Future[Socket]] = set()
    try:
        while waiting or attempts:
            if waiting:
                attempts.add(asyncio.ensure_future(connect(waiting.pop(0))))
            await asyncio.wait(
                attempts,
                timeout=delay if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for attempt in [attempt for attempt in attempts if attempt.done()]:
                attempts.remove(attempt)
                try:
                    return attempt.result()
                except OSError as error:
                    errors.append(error)
    finally:
        for attempt in attempts:
            attempt.add_done_callback(_discard)
            attempt.cancel()
    raise _combined(errors, all_errors)


def interleaved(addresses: Sequence[Address], first: int) -> list[Address]:
    """Alternate the families, after `first` addresses of the first one (RFC 8305, 4)."""
    families: dict[int, list[Address]] = {}
    for address in addresses:
        families.setdefault(family_of(address[0]), []).append(address)
    ahead: list[Address] = []
    if families and first > 1:
        leading = next(iter(families.values()))
        ahead = leading[: first - 1]
        del leading[: first - 1]
    turns = itertools.zip_longest(*families.values())
    return ahead + [address for turn in turns for address in turn if address is not None]


def _discard(attempt: asyncio.Future[Socket]) -> None:
    """Close a connection that came too late."""
    if not attempt.cancelled() and attempt.exception() is None:
        close(attempt.result())


def _combined(errors: list[OSError], all_errors: bool) -> BaseException:
    if all_errors:
        return ExceptionGroup("create_connection failed", errors)
    if len({str(error) for error in errors}) == 1:
        return errors[0]
    return OSError(f"Multiple exceptions: {', '.join(map(str, errors))}")

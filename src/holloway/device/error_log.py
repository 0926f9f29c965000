"""Unexpected exceptions in the log: each with its traceback once, then only how often it came.

An exception in the handling of one event must not end that of the others, so somebody has to log
it. What a stranger sends may cause the same one again and again. `tunnel` has one `ErrorLog`.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable
from typing import Final

log = logging.getLogger(__name__)

INTERVAL: Final = 60.0
"""The seconds between two messages about the same place in the code."""

Place = tuple[type[BaseException], str, int]
"""The class of an exception, and the file and line that raised it."""


class _Seen:
    """When a place was last logged, and how many exceptions it has raised since."""

    def __init__(self, logged_at: float) -> None:
        self.logged_at = logged_at
        self.since = 0


class ErrorLog:
    """Logs the exceptions that one device survives."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen: dict[Place, _Seen] = {}

    def log_exception(self, handled: str) -> None:
        """Log the exception that is being handled; `handled` says what it interrupted."""
        error = sys.exception()
        assert error is not None
        now = self._clock()
        place = _place(error)
        seen = self._seen.get(place)
        if seen is None:
            self._seen[place] = _Seen(now)
            log.error("Unable to handle %s, going on without it:\n%s", handled, _text(error))
            return
        seen.since += 1
        if now >= seen.logged_at + INTERVAL:
            log.error("Unable to handle %s: %r (%d times more)", handled, error, seen.since)
            self._seen[place] = _Seen(now)


def _place(error: BaseException) -> Place:
    frames = list(traceback.walk_tb(error.__traceback__))
    frame, line = frames[-1]
    return type(error), frame.f_code.co_filename, line


def _text(error: BaseException) -> str:
    """Return the traceback without blank lines: one would end an answer of the UAPI."""
    lines = "".join(traceback.format_exception(error)).splitlines()
    return "\n".join(line for line in lines if line.strip())

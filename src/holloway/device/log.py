"""The log of a device process: how much is said, how often, and who listens.

Python's root logger does the work; this sets its level while the device runs, holds frequent
messages back as the kernel does, and passes lines on to followers. It knows no device and no
socket; `cli.device` makes one, `daemon` and `uapi_server` use it.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Final

LEVELS: Final = {
    "verbose": logging.DEBUG,
    "error": logging.ERROR,
    "silent": logging.CRITICAL + 1,
}
NOISY_LIBRARIES: Final = ("asyncio",)
"""Libraries whose debugging is of no interest to whoever debugs a device."""
BURST: Final = 10  # kernel, net/core/utils.c: net_ratelimit_state
INTERVAL: Final = 5.0
BACKLOG_LINES: Final = 256
"""So many lines a new follower is told of the past, as dmesg(1) does."""

Follower = Callable[[str], None]
"""Takes one line, without its end."""


class DeviceLog:
    """What a device says, on standard error and to followers; one a process."""

    def __init__(self, name: str, level: str) -> None:
        self._output = _Output()
        self._output.setFormatter(
            logging.Formatter(
                f"%(levelname)s: ({name}) %(asctime)s %(message)s", "%Y/%m/%d %H:%M:%S"
            )
        )
        self._output.addFilter(RateLimit(time.monotonic))
        self._observers: list[Callable[[], None]] = []
        self.level = level

    @property
    def level(self) -> str:
        """One of `LEVELS`."""
        return self._level

    @level.setter
    def level(self, level: str) -> None:
        number = LEVELS[level]
        self._level = level
        logging.getLogger().setLevel(number)
        for library in NOISY_LIBRARIES:
            logging.getLogger(library).setLevel(max(number, logging.ERROR))
        for observer in self._observers:
            observer()

    def install(self) -> None:
        """Become the process's log."""
        logging.raiseExceptions = False  # a full disk under the log must not disturb the device
        logging.getLogger().addHandler(self._output)

    def observe(self, observer: Callable[[], None]) -> None:
        """Call `observer` now, and whenever the level has changed."""
        self._observers.append(observer)
        observer()

    def follow(self, follower: Follower) -> None:
        """Pass on what was said lately, and every line from now on, once."""
        if follower in self._output.followers:
            return
        for line in self._output.backlog:
            follower(line)
        self._output.followers.append(follower)

    def unfollow(self, follower: Follower) -> None:
        """Pass on nothing more, if anything was."""
        if follower in self._output.followers:
            self._output.followers.remove(follower)


class RateLimit(logging.Filter):
    """Holds back a debug message that comes more than ten times in five seconds.

    The kernel's limit (net_ratelimit) is shared by all its messages; ours is each message's own,
    so that a flood of one hides no other.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._windows: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno > logging.DEBUG:
            return True
        now = self._clock()
        message = record.msg
        begun, count = self._windows.get(message, (now, 0))
        if now >= begun + INTERVAL:
            if count > BURST:
                record.msg = f"{message} ({count - BURST} such messages held back)"
            begun, count = now, 0
        self._windows[message] = (begun, count + 1)
        return count < BURST


class _Output(logging.StreamHandler):  # type: ignore[type-arg]
    """Standard error, the followers, and the last lines for those to come."""

    def __init__(self) -> None:
        super().__init__()
        self.followers: list[Follower] = []
        self.backlog: deque[str] = deque(maxlen=BACKLOG_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)
        line = self.format(record)
        self.backlog.append(line)
        for follower in tuple(self.followers):
            follower(line)

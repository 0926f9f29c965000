"""The log of a device process: its level, its rate limit and its followers.

Python's root logger does the work. This module sets its level while the device runs, limits the
rate of messages as the kernel does, and sends lines to followers. It knows no device and no
socket; `cli.device` creates one, `daemon` and `uapi_server` use it.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from holloway.errors import without_keys

LEVELS: Final = {
    "verbose": logging.DEBUG,
    "error": logging.ERROR,
    "silent": logging.CRITICAL + 1,
}
NOISY_LIBRARIES: Final = ("asyncio",)
"""Libraries whose debug messages do not help to debug a device."""
BURST: Final = 10  # kernel, net/core/utils.c: net_ratelimit_state
INTERVAL: Final = 5.0
BACKLOG_LINES: Final = 256
"""The number of past lines that a new follower gets first, as with dmesg(1)."""

Follower = Callable[[str], None]
"""Takes one line, without the line break."""


class DeviceLog:
    """The log on standard error and to followers; one per process."""

    def __init__(self, name: str, level: str) -> None:
        self._output = _Output()
        self._output.setFormatter(_Formatter(name))
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
        """Make this the log of the process."""
        logging.raiseExceptions = False  # a full disk must not disturb the device
        logging.getLogger().addHandler(self._output)

    def observe(self, observer: Callable[[], None]) -> None:
        """Call `observer` now and after each change of the level."""
        self._observers.append(observer)
        observer()

    def follow(self, follower: Follower) -> None:
        """Send the last lines to `follower`, then every new line; once, if called again."""
        if follower in self._output.followers:
            return
        for line in self._output.backlog:
            follower(line)
        self._output.followers.append(follower)

    def unfollow(self, follower: Follower) -> None:
        """Stop sending lines to `follower`."""
        if follower in self._output.followers:
            self._output.followers.remove(follower)


class RateLimit(logging.Filter):
    """Suppresses a debug message that comes more than ten times in five seconds.

    The kernel's limit (net_ratelimit) is shared by all messages. Ours is separate for each, so that
    a flood of one message hides no other.
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
                record.msg = f"{message} ({count - BURST} such messages suppressed)"
            begun, count = now, 0
        self._windows[message] = (begun, count + 1)
        return count < BURST


class _Formatter(logging.Formatter):
    """Formats lines as wireguard-go does, without anything that may be a key."""

    def __init__(self, name: str) -> None:
        super().__init__(f"%(levelname)s: ({name}) %(asctime)s %(message)s", "%Y/%m/%d %H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        return without_keys(super().format(record))


class _Output(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to standard error and to followers, and keeps the last lines for new ones."""

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

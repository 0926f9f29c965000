"""A device's log: its level, its rate limit and its followers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from holloway.device.log import BACKLOG_LINES, BURST, INTERVAL, LEVELS, DeviceLog, RateLimit

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def device_log() -> Iterator[DeviceLog]:
    """A log that is installed in the process during a test."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    made = DeviceLog("wg0", "error")
    made.install()
    yield made
    root.setLevel(level)
    root.handlers[:] = handlers


def record(message: str, level: int = logging.DEBUG) -> logging.LogRecord:
    return logging.LogRecord("holloway", level, "", 1, message, (), None)


def test_followers_get_the_lines_of_the_level(device_log: DeviceLog) -> None:
    lines: list[str] = []
    log = logging.getLogger("holloway.device.tunnel")
    device_log.follow(lines.append)
    for level in ("error", "silent", "verbose"):
        device_log.level = level
        log.error("wrong at %s", level)
        log.debug("fine at %s", level)
    device_log.unfollow(lines.append)
    log.error("nobody listens")
    assert [line.split(" ", 4)[4] for line in lines] == [
        "wrong at error", "wrong at verbose", "fine at verbose"
    ]  # fmt: skip
    assert lines[0].startswith("ERROR: (wg0) 20")


def test_a_follower_first_gets_the_backlog(device_log: DeviceLog) -> None:
    log = logging.getLogger("holloway.device.tunnel")
    for number in range(BACKLOG_LINES + 3):
        log.error("%d", number)
    lines: list[str] = []
    device_log.follow(lines.append)
    log.error("now")
    said = [line.rpartition(" ")[2] for line in lines]
    assert said == [*(str(number) for number in range(3, BACKLOG_LINES + 3)), "now"]


def test_observers_are_called_when_the_level_changes(device_log: DeviceLog) -> None:
    seen: list[str] = []
    device_log.observe(lambda: seen.append(device_log.level))
    for level in LEVELS:
        device_log.level = level
    assert seen == ["error", *LEVELS]


def test_an_unknown_level_changes_nothing(device_log: DeviceLog) -> None:
    with pytest.raises(KeyError):
        device_log.level = "loud"
    assert device_log.level == "error"


def test_libraries_log_only_warnings_and_errors(device_log: DeviceLog) -> None:
    device_log.level = "verbose"
    for library in ("asyncio", "asyncio.sslproto"):
        assert not logging.getLogger(library).isEnabledFor(logging.INFO)
    assert logging.getLogger("holloway").isEnabledFor(logging.DEBUG)


def test_a_frequent_message_is_suppressed_and_counted() -> None:
    now = 100.0
    limit = RateLimit(lambda: now)
    assert [limit.filter(record("often")) for _ in range(BURST + 3)] == [True] * BURST + [False] * 3
    assert limit.filter(record("seldom"))
    now += INTERVAL
    later = record("often")
    assert limit.filter(later)
    assert later.getMessage() == "often (3 such messages suppressed)"
    again = record("often")
    assert limit.filter(again)
    assert again.getMessage() == "often"


def test_errors_are_never_suppressed() -> None:
    limit = RateLimit(lambda: 1.0)
    assert all(limit.filter(record("wrong", logging.ERROR)) for _ in range(10 * BURST))

"""Exceptions that a device survives, as its log shows them."""

from __future__ import annotations

import logging

import pytest

from holloway.device.error_log import INTERVAL, ErrorLog


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def one(number: int) -> None:
    raise ValueError(f"number {number}\n\nand more")


def other() -> None:
    raise OSError("other")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def errors(clock: Clock) -> ErrorLog:
    return ErrorLog(clock)


def survive(errors: ErrorLog, number: int) -> None:
    try:
        one(number)
    except ValueError:
        errors.log_exception("a test")


def test_an_exception_is_logged_once_with_its_traceback(
    errors: ErrorLog, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(100):
        survive(errors, number)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    text = record.getMessage()
    assert text.startswith("Unable to handle a test, going on without it:\nTraceback")
    assert "ValueError: number 0" in text
    assert "in one" in text
    assert "\n\n" not in text, "a blank line ends an answer of the UAPI"


def test_repeated_exceptions_are_counted(
    errors: ErrorLog, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(10):
        survive(errors, number)
    caplog.clear()
    clock.now += INTERVAL
    for number in range(10, 15):
        survive(errors, number)
    assert [record.getMessage() for record in caplog.records] == [
        "Unable to handle a test: ValueError('number 10\\n\\nand more') (10 times more)"
    ]


def test_exceptions_of_several_places_do_not_hide_one_another(
    errors: ErrorLog, caplog: pytest.LogCaptureFixture
) -> None:
    survive(errors, 1)
    try:
        other()
    except OSError:
        errors.log_exception("another test")
    assert [record.getMessage().partition(",")[0] for record in caplog.records] == [
        "Unable to handle a test", "Unable to handle another test"
    ]  # fmt: skip

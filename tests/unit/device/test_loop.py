"""The device's event loop: what asyncio's does with the same calls, and no call costs another."""

from __future__ import annotations

import logging
import os
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from holloway.device.loop import DeviceLoop

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def loop() -> Iterator[DeviceLoop]:
    made = DeviceLoop()
    yield made
    made.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ends = socket.socketpair()
    yield ends
    for end in ends:
        end.close()


Pair = tuple[socket.socket, socket.socket]


def test_timers_come_in_the_order_in_which_they_are_due(loop: DeviceLoop) -> None:
    called: list[str] = []
    loop.call_at(loop.time() + 0.02, loop.stop)
    loop.call_later(0.01, called.append, "later")
    loop.call_later(0, called.append, "at once")
    loop.call_later(0, called.append, "after it")
    loop.run()
    assert called == ["at once", "after it", "later"]


def test_a_timer_that_is_cancelled_does_not_come(loop: DeviceLoop) -> None:
    called: list[str] = []
    timer = loop.call_later(0, called.append, "cancelled before")
    timer.cancel()
    loop.call_later(0, lambda: cancelled.pop().cancel())
    cancelled = [loop.call_later(0, called.append, "cancelled by one of the same turn")]
    loop.call_later(0, loop.stop)
    loop.run()
    timer.cancel()
    assert called == []


def test_a_timer_that_a_timer_adds_waits_for_the_next_turn(loop: DeviceLoop, pair: Pair) -> None:
    """Else a chain of them would keep the descriptors from their turn."""
    called: list[str] = []

    def again() -> None:
        called.append("timer")
        loop.call_later(0, again)

    def read() -> None:
        called.append("reader")
        loop.stop()

    loop.add_reader(pair[0], read)
    pair[1].send(b"x")
    again()
    loop.run()
    assert "reader" in called
    assert called.count("timer") <= 2


def test_a_reader_is_called_while_there_is_something_to_read(loop: DeviceLoop, pair: Pair) -> None:
    taken: list[bytes] = []

    def read(end: socket.socket) -> None:
        taken.append(end.recv(1))
        if len(taken) == 3:
            loop.stop()

    loop.add_reader(pair[0], read, pair[0])
    pair[1].send(b"abc")
    loop.run()
    assert taken == [b"a", b"b", b"c"]
    assert loop.remove_reader(pair[0])
    assert not loop.remove_reader(pair[0])


def test_a_reader_that_another_removes_in_the_same_turn_is_not_called(loop: DeviceLoop) -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    called: list[int] = []

    def read(number: int) -> None:
        called.append(number)
        loop.remove_reader(pairs[1 - number][0])
        loop.stop()

    for number, (ours, theirs) in enumerate(pairs):
        loop.add_reader(ours, read, number)
        theirs.send(b"x")
    loop.run()
    assert len(called) == 1
    for end in (end for pair in pairs for end in pair):
        end.close()


def test_a_descriptor_has_a_reader_and_a_writer(loop: DeviceLoop, pair: Pair) -> None:
    called: list[str] = []

    def write() -> None:
        called.append("write")
        loop.remove_writer(pair[0])
        pair[1].send(b"x")

    def read() -> None:
        called.append("read")
        loop.stop()

    loop.add_reader(pair[0], read)
    loop.add_writer(pair[0], write)
    loop.run()
    assert called == ["write", "read"]


def test_the_end_of_the_other_side_calls_the_reader(loop: DeviceLoop, pair: Pair) -> None:
    loop.add_reader(pair[0], loop.stop)
    pair[1].close()
    loop.run()
    assert pair[0].recv(1) == b""


def test_an_exception_is_logged_and_costs_no_other_call(
    loop: DeviceLoop, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("a defect")

    loop.call_later(0, fail)
    loop.call_later(0, loop.stop)
    loop.run()
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "RuntimeError: a defect" in record.getMessage()


def test_signals_are_handled_in_their_turn(loop: DeviceLoop) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGUSR2)}
    called: list[int] = []
    try:
        for number in before:
            loop.add_signal_handler(number, called.append, number)
        loop.call_later(0, os.kill, os.getpid(), signal.SIGUSR1)
        loop.call_later(0, lambda: called.append(0))
        loop.call_later(0.01, os.kill, os.getpid(), signal.SIGUSR2)
        loop.add_signal_handler(signal.SIGUSR2, loop.stop)
        loop.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert called == [0, signal.SIGUSR1]


def test_a_loop_that_was_stopped_before_does_not_run(loop: DeviceLoop) -> None:
    loop.stop()
    loop.run()
    assert not loop.is_closed()
    loop.close()
    assert loop.is_closed()

"""The event loop of the device process: descriptors, timers and signals.

Its methods have the names and the meaning of asyncio's, of which a device needs no others, so that
a `Tunnel` runs on either. asyncio itself would be an eighth of an idle device's memory and a third
of its start (decision 35). `daemon` runs one.
"""

from __future__ import annotations

import select
import signal
import socket
import time
from typing import TYPE_CHECKING, Final

from holloway.device.error_log import ErrorLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from holloway.device.event_loop import Descriptor

    Call = tuple[Callable[..., object], tuple[object, ...]]


class Timer:
    """One call to come."""

    def __init__(self, timers: dict[Timer, None], due: float, call: Call) -> None:
        self._timers = timers
        self.due = due
        self.call = call
        timers[self] = None

    def cancel(self) -> None:
        self._timers.pop(self, None)


class DeviceLoop:
    """Calls back until it is stopped. An exception in one call is logged and costs no other."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._calls: dict[int, dict[int, Call]] = {}  # by descriptor and event
        self._timers: dict[Timer, None] = {}  # a handful, in the order in which they were added
        self._signals: dict[int, Call] = {}
        self._signal_pair: tuple[socket.socket, socket.socket] | None = None
        self._errors = ErrorLog(time.monotonic)
        self._is_stopped = False

    def run(self) -> None:
        """Call back until `stop` was called, now or before."""
        while not self._is_stopped:
            for descriptor, events in self._epoll.poll(self._wait()):
                for event in (select.EPOLLIN, select.EPOLLOUT):
                    # A call before this one may have removed it.
                    call = self._calls.get(descriptor, {}).get(event)
                    if call is not None and events & (event | FAILED):
                        self._make(call)
            now = self.time()
            for timer in [each for each in self._timers if each.due <= now]:
                if timer in self._timers:
                    timer.cancel()
                    self._make(timer.call)

    def stop(self) -> None:
        """End `run` after the present call."""
        self._is_stopped = True

    def close(self) -> None:
        """Close the descriptors of its own."""
        if self._signal_pair is not None:
            signal.set_wakeup_fd(-1)
            for end in self._signal_pair:
                end.close()
        self._epoll.close()

    def is_closed(self) -> bool:
        return self._epoll.closed

    def time(self) -> float:
        """Return the clock of the timers."""
        return time.monotonic()

    def call_later(
        self, delay: float, callback: Callable[..., object], *arguments: object
    ) -> Timer:
        """Call back once, after a number of seconds."""
        return self.call_at(self.time() + delay, callback, *arguments)

    def call_at(self, when: float, callback: Callable[..., object], *arguments: object) -> Timer:
        """Call back once, when the clock says so."""
        return Timer(self._timers, when, (callback, arguments))

    def add_reader(
        self, fd: Descriptor, callback: Callable[..., object], *arguments: object
    ) -> None:
        """Call back whenever a descriptor is readable."""
        self._add(fd, select.EPOLLIN, (callback, arguments))

    def remove_reader(self, fd: Descriptor) -> bool:
        """Return whether there was one."""
        return self._remove(fd, select.EPOLLIN)

    def add_writer(
        self, fd: Descriptor, callback: Callable[..., object], *arguments: object
    ) -> None:
        """Call back whenever a descriptor is writable."""
        self._add(fd, select.EPOLLOUT, (callback, arguments))

    def remove_writer(self, fd: Descriptor) -> bool:
        """Return whether there was one."""
        return self._remove(fd, select.EPOLLOUT)

    def add_signal_handler(
        self, number: int, callback: Callable[..., object], *arguments: object
    ) -> None:
        """Call back for a signal, in its turn and not between two instructions."""
        if self._signal_pair is None:
            self._signal_pair = reader, writer = socket.socketpair()
            for end in self._signal_pair:
                end.setblocking(False)
            signal.set_wakeup_fd(writer.fileno())
            self.add_reader(reader, self._handle_signals, reader)
        self._signals[number] = (callback, arguments)
        # Python writes the number to the pair only for a signal that has a handler.
        signal.signal(number, lambda *_: None)
        signal.siginterrupt(number, False)

    def _handle_signals(self, reader: socket.socket) -> None:
        for number in reader.recv(MAX_SIGNALS):
            if call := self._signals.get(number):
                self._make(call)

    def _wait(self) -> float | None:
        """Return how long to wait for a descriptor: until the next timer, if there is one."""
        due = min((timer.due for timer in self._timers), default=None)
        return None if due is None else max(0.0, due - self.time())

    def _make(self, call: Call) -> None:
        callback, arguments = call
        try:
            callback(*arguments)
        except Exception:  # a defect must not cost the calls behind this one
            self._errors.log_exception(f"a call of {getattr(callback, '__qualname__', callback)}")

    def _add(self, fd: Descriptor, event: int, call: Call) -> None:
        descriptor = _number(fd)
        calls = self._calls.setdefault(descriptor, {})
        is_new = not calls
        calls[event] = call
        mask = sum(calls)
        if is_new:
            self._epoll.register(descriptor, mask)
        else:
            self._epoll.modify(descriptor, mask)

    def _remove(self, fd: Descriptor, event: int) -> bool:
        descriptor = _number(fd)
        calls = self._calls.get(descriptor, {})
        if calls.pop(event, None) is None:
            return False
        if calls:
            self._epoll.modify(descriptor, sum(calls))
        else:
            del self._calls[descriptor]
            self._epoll.unregister(descriptor)
        return True


def _number(fd: Descriptor) -> int:
    return fd if isinstance(fd, int) else fd.fileno()


FAILED: Final = select.EPOLLERR | select.EPOLLHUP
"""Comes unasked: the call to the descriptor finds out what it means."""
MAX_SIGNALS: Final = 64

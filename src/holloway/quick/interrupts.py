"""Signals that ask a run to stop: noted at once, acted on only where nothing is half done.

Between steps the driver calls `check`; while a step waits for something that may take long (a
program, a name server) it does so inside `interruptible`, where the signal ends the wait.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from holloway.errors import HollowayError


class Interrupted(HollowayError):
    """A signal asked this run to stop."""


class Interrupts:
    """Turns SIGINT, SIGTERM and SIGHUP into `Interrupted` at safe places."""

    def __init__(self) -> None:
        self._received: signal.Signals | None = None
        self._interruptible = False

    @contextmanager
    def handled(self, *, then_ignored: bool = False) -> Iterator[None]:
        """Handle the signals for the length of a block; an ignored one stays ignored.

        Afterwards they do what they did before, or nothing: for a block that a program ends with.
        """
        before = {
            number: handler
            for number in _SIGNALS
            if (handler := signal.getsignal(number)) not in {signal.SIG_IGN, None}
        }
        for number in before:
            signal.signal(number, self._receive)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, signal.SIG_IGN if then_ignored else handler)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let a signal end this block at once."""
        self._interruptible = True  # before the check: a signal between the two is then not lost
        try:
            self.check()
            yield
        finally:
            self._interruptible = False

    def check(self) -> None:
        """Raise `Interrupted` if a signal has come."""
        if self._received is not None:
            received, self._received = self._received, None
            raise Interrupted(f"interrupted by {received.name}")

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._received = signal.Signals(number)
        if self._interruptible:
            # One signal, one exception: what cleans up after it must not be torn as well.
            self._interruptible = False
            self.check()


_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

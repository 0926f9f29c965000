"""Signals that ask a run to stop: recorded at once, acted on only where no step is half done.

Between steps the driver calls `check`. A step that waits for something that may take long (a
program, a name server) does so inside `interruptible`, where the signal ends the wait.
"""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from holloway.errors import HollowayError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


class Interrupted(HollowayError):
    """A signal asked this run to stop."""


class Interrupts:
    """Turns SIGINT, SIGTERM and SIGHUP into `Interrupted` at safe places."""

    def __init__(self) -> None:
        self._received: signal.Signals | None = None
        self._interruptible = False

    @contextmanager
    def handled(self, *, then_ignored: bool = False) -> Iterator[None]:
        """Handle the signals during a block; an ignored signal stays ignored.

        Afterwards they have their old handlers, or are ignored: for the last block of a program.
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
        """Have a signal end this block at once."""
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
            # One signal, one exception: the cleanup after it must not be interrupted as well.
            self._interruptible = False
            self.check()


_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

"""Runs steps: prints each, applies it, and takes all back in reverse if one fails.

The one place that decides what a failure or a signal means for the host.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Self

from holloway.errors import HollowayError
from holloway.quick.steps import Host, Step, Undoable, say


class Failed(HollowayError):
    """A step failed; the user has been told why."""


class Transaction:
    """Steps that stand together: leave the block by an exception, and they are undone."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._undoable: list[Undoable] = []

    def __enter__(self) -> Self:
        return self

    def run(self, steps: Iterable[Step]) -> None:
        """Apply steps in order; raises `Failed`."""
        for step in steps:
            self._host.interrupts.check()
            if isinstance(step, Undoable):
                self._undoable.append(step)
            perform(step, self._host)
        # A signal that came during the last step counts as well.
        self._host.interrupts.check()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            return
        told = isinstance(error, HollowayError | OSError)
        if told:
            say(f"wg-quick: {describe(error)}")
        while self._undoable:
            self._undo(self._undoable.pop())
        if told:
            raise Failed from error

    def _undo(self, step: Undoable) -> None:
        try:
            undoing = step.undo(self._host)
            if undoing is not None:
                perform(undoing, self._host)
        except (OSError, HollowayError) as error:
            # What is left is still worth undoing.
            say(f"wg-quick: {describe(error)}")


def perform(step: Step, host: Host) -> None:
    """Print a step and apply it; raises OSError or HollowayError."""
    say(f"[#] {step.text}")
    step.apply(host)


def describe(error: BaseException) -> str:
    """Say what went wrong, without the number that Python puts before the reason."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"

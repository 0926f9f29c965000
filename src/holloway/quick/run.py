"""Runs steps: prints each, applies it, and takes all back in reverse if one fails.

The one place that decides what a failure or a signal means for the host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from types import TracebackType
from typing import Self

from holloway.errors import HollowayError
from holloway.quick.steps import (
    Host,
    Reordered,
    Reversible,
    Step,
    Undoable,
    print_message,
    print_step,
)


class Failed(HollowayError):
    """A step failed; the user has been told why."""


class Transaction:
    """Steps that stand together: leave the block by an exception, and they are undone."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._undo_stack: list[Callable[[], Step | None]] = []

    def __enter__(self) -> Self:
        return self

    def run(self, steps: Iterable[Step]) -> None:
        """Apply steps in order; raises what they raise, and `Interrupted`."""
        self.finish(steps)
        # A signal that came during the last step counts as well.
        self._host.interrupts.check()

    def finish(self, steps: Iterable[Step]) -> None:
        """Apply the last steps, after which there is nothing that a signal could stop."""
        for step in steps:
            self._host.interrupts.check()
            print_step(step)
            for each in step.applied if isinstance(step, Reordered) else (step,):
                self._host.interrupts.check()
                self._apply(each)

    def _apply(self, step: Step) -> None:
        if isinstance(step, Undoable):
            self._undo_stack.append(partial(step.inverse, self._host))
        step.apply(self._host)
        if isinstance(step, Reversible):
            inverse = step.reverse
            self._undo_stack.append(lambda: inverse)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            return
        reported = isinstance(error, HollowayError | OSError)
        if reported:
            print_message(f"wg-quick: {describe(error)}")
        while self._undo_stack:
            self._undo(self._undo_stack.pop())
        if reported:
            raise Failed from error

    def _undo(self, inverse: Callable[[], Step | None]) -> None:
        try:
            step = inverse()
        except (OSError, HollowayError) as error:
            print_message(f"wg-quick: {describe(error)}")
        else:
            if step is not None:
                attempt([step], self._host)


def attempt(steps: Iterable[Step], host: Host) -> bool:
    """Apply each step whatever becomes of the others; tells of failures and whether none was."""
    succeeded = True
    for step in steps:
        try:
            perform(step, host)
        except (OSError, HollowayError) as error:
            # What is left is still worth doing.
            print_message(f"wg-quick: {describe(error)}")
            succeeded = False
    return succeeded


def perform(step: Step, host: Host) -> None:
    """Print a step and apply it; raises OSError or HollowayError."""
    print_step(step)
    step.apply(host)


def describe(error: BaseException) -> str:
    """Say what went wrong, without the number that Python puts before the reason."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"

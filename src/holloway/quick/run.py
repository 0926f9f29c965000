"""Runs steps: prints and applies each, and undoes all in reverse order if one fails.

Only this module decides what a failure or a signal means for the host.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Self

from holloway.errors import HollowayError
from holloway.quick.steps import Reordered, Reversible, Undoable, print_message, print_step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from holloway.quick.steps import Host, Step


class Failed(HollowayError):
    """A step failed; the reason has been printed."""


class Transaction:
    """Steps that belong together: if an exception leaves the block, they are undone."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._undo_stack: list[Callable[[], Step | None]] = []

    def __enter__(self) -> Self:
        return self

    def run(self, steps: Iterable[Step]) -> None:
        """Apply steps in order; raises what they raise, and `Interrupted`."""
        self.finish(steps)
        # A signal during the last step counts as well.
        self._host.interrupts.check()

    def finish(self, steps: Iterable[Step]) -> None:
        """Apply the last steps, after which a signal has nothing to stop."""
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
    """Apply each step even if others fail; prints failures, and returns whether there was none."""
    succeeded = True
    for step in steps:
        try:
            perform(step, host)
        except (OSError, HollowayError) as error:
            # The other steps are still worth doing.
            print_message(f"wg-quick: {describe(error)}")
            succeeded = False
    return succeeded


def perform(step: Step, host: Host) -> None:
    """Print a step and apply it; raises OSError or HollowayError."""
    print_step(step)
    step.apply(host)


def describe(error: BaseException) -> str:
    """Return the reason of an error, without the number that Python puts before it."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"

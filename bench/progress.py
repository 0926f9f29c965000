"""Prints on standard error the progress of a run and an estimate of the remaining time.

On a terminal it updates one line; elsewhere it prints a line for each implementation of a round.
"""

from __future__ import annotations

import sys
import time

Step = tuple[str, str]
"""An implementation and a measure."""


class Progress:
    """The steps of a run, and the times that they took."""

    def __init__(self, steps: list[Step], guess: float) -> None:
        self.ahead = list(steps)
        self.guess = guess
        self.taken: dict[Step, list[float]] = {}
        self.started = self.last = time.monotonic()
        self.current: Step | None = None

    def begin(self, implementation: str, measure: str) -> None:
        """End the current step and begin the next."""
        self.end()
        self.current = (implementation, measure)
        self.ahead.remove(self.current)
        if sys.stderr.isatty():
            print(
                f"\r\033[K{self}: {implementation}, {measure}", end="", file=sys.stderr, flush=True
            )

    def end(self) -> None:
        """Record the time of the current step."""
        now = time.monotonic()
        if self.current is not None:
            self.taken.setdefault(self.current, []).append(now - self.last)
        self.last, self.current = now, None

    def log(self, what: str) -> None:
        """Print a line that stays."""
        clear = "\r\033[K" if sys.stderr.isatty() else ""
        print(f"{clear}{self}: {what} done", file=sys.stderr, flush=True)

    def __str__(self) -> str:
        elapsed = time.monotonic() - self.started
        return f"{_minutes(elapsed)}, about {_minutes(self.remaining())} to go"

    def remaining(self) -> float:
        """Estimate the remaining seconds, from earlier times of the same step, or of the same
        measure, or else the guess.
        """
        of_measure: dict[str, list[float]] = {}
        for (_, measure), times in self.taken.items():
            of_measure.setdefault(measure, []).extend(times)
        total = 0.0
        for step in self.ahead:
            known = self.taken.get(step) or of_measure.get(step[1]) or [self.guess]
            total += sum(known) / len(known)
        return total


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"

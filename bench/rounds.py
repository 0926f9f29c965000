"""The rounds of a run: each begins with another implementation, so that none always comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from results import Run

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from progress import Progress


def rotated(names: list[str], number: int) -> list[str]:
    """Return the names in the order of a round."""
    first = number % len(names)
    return names[first:] + names[:first]


def measure_in_turn(
    names: list[str], rounds: int, progress: Progress, measure: Callable[[str], dict[str, Any]]
) -> Run:
    """Measure every implementation in every round; `measure` begins the steps of the progress."""
    run = Run(names, [])
    for number in range(rounds):
        for name in rotated(names, number):
            run.rounds.append({"device": name, "results": measure(name)})
            progress.end()
            progress.log(f"round {number + 1} of {rounds}, {name}")
    return run

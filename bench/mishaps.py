"""Compare the times of recovery from mishaps of the underlay and of the peer.

    python bench/mishaps.py [--rounds 11] [--only NAME] [--out FILE.json]

Each round has two hosts of its own, with the same implementation on both. Rounds of the
implementations alternate. Prints the medians in seconds with least and greatest, and the ratios of
our medians to the others'. A ping every 10 ms measures; a figure includes the command that mends.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from compare import version
from progress import Progress
from results import Report, machine
from rounds import measure_in_turn

from underlay_mishaps import LIMIT_SECONDS, MISHAPS, Pair

IMPLEMENTATIONS = ["holloway", "wireguard-go"]


def recovery(implementation: str, name: str) -> float:
    """Return the seconds of one recovery; the limit, if it does not recover."""
    mishap = MISHAPS[name]
    with ExitStack() as stack:
        pair = Pair(implementation, stack, version=mishap.version)
        pings = stack.enter_context(pair.pings(mishap.sender))
        assert pings.seconds_to_answer(0) is not None, f"{implementation} has no session"
        found = mishap.recovery(pair, pings)
    return LIMIT_SECONDS if found is None else found


def main() -> int:
    """Measure, and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--only", choices=MISHAPS, help="measure only this mishap")
    parser.add_argument("--out", type=Path, help="write all results to this file as JSON")
    options = parser.parse_args()
    names = [options.only] if options.only else list(MISHAPS)
    steps = [(one, name) for one in IMPLEMENTATIONS for name in names]
    progress = Progress(steps * options.rounds, guess=15)

    def measure(implementation: str) -> dict[str, dict[str, float]]:
        results = {}
        for name in names:
            progress.begin(implementation, name)
            results[name] = {"s": recovery(implementation, name)}
        return results

    run = measure_in_turn(IMPLEMENTATIONS, options.rounds, progress, measure)
    print(run.table())
    if options.out is not None:
        about = {
            "machine": machine(),
            "date": datetime.now(UTC).date().isoformat(),
            "versions": {name: version(name) for name in IMPLEMENTATIONS},
        }
        Report(run, about).write(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())

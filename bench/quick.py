"""Compare the time of `wg-quick` with a plain file, and of a device until it answers.

    python bench/quick.py [--rounds 20] [--out FILE.json]

The file has a key, a port, an address and one peer. Four pairs of a device and a `wg-quick` are
measured, interleaved. Prints the medians in milliseconds with their spread, and the ratios of our
device with our `wg-quick` to each other pair. Every figure includes the start of the programs;
`nothing` is the time of bash, or of Python, with a script that does nothing. All share the
machine's processors: compare ratios of one run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from many_peers import milliseconds
from progress import Progress
from results import Report, machine
from rounds import measure_in_turn

from holloway.lab import Host
from hosts import BIN, DEVICES, ENVIRONMENT, WG, eventually
from quick_host import QuickHost, peer

PAIRS = {
    "holloway": ("holloway", "holloway"),
    "original on wireguard-go": ("wireguard-go", "original"),
    "original on holloway-device": ("holloway", "original"),
    "ours on wireguard-go": ("wireguard-go", "holloway"),
}
WG_QUICK = {"holloway": str(BIN / "wg-quick"), "original": "/usr/bin/wg-quick"}
NOTHING = {"holloway": [sys.executable, "-c", "pass"], "original": ["bash", "-c", ":"]}
ANSWERS = f'"$@" >/dev/null 2>&1 && until {WG["original"]} show wg0 >/dev/null 2>&1; do :; done'


def one_round(device: str, quick: str) -> dict[str, dict[str, float]]:
    """Measure every step with one pair, in a new host."""
    results: dict[str, dict[str, float]] = {}
    (program, *_) = DEVICES[device]
    environment = ENVIRONMENT | {
        "WG_QUICK_USERSPACE_IMPLEMENTATION": program,
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    }
    with Host("bench") as host:
        QuickHost(host).configure("Address = 10.10.11.1/24", peer())

        def timed(*command: str) -> dict[str, float]:
            return {"ms": milliseconds(host, *command, environment=environment)}

        results["nothing"] = timed(*NOTHING[quick])
        results["up"] = timed(WG_QUICK[quick], "up", "wg0")
        results["down"] = timed(WG_QUICK[quick], "down", "wg0")
        assert eventually(lambda: host.run("ls", "/run/wireguard").stdout == "")
        results["device answers"] = timed("sh", "-c", ANSWERS, "start", program, "wg0")
    return results


def main() -> int:
    """Measure, and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--out", type=Path, help="write all results to this file as JSON")
    options = parser.parse_args()
    progress = Progress([(name, "all") for name in PAIRS] * options.rounds, guess=2)

    def measure(name: str) -> dict[str, dict[str, float]]:
        progress.begin(name, "all")
        return one_round(*PAIRS[name])

    run = measure_in_turn(list(PAIRS), options.rounds, progress, measure)
    print(run.table())
    if options.out is not None:
        Report(run, {"machine": machine()}).write(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())

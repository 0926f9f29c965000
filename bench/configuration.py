"""Compare how long `wg` takes with thousands of peers, on our device and on another.

    python bench/configuration.py [--rounds 5] [--peers 10000] [--out FILE.json]

Each peer has an endpoint and two allowed IPs. Four pairs of a device and a `wg` are measured,
interleaved. Prints the medians in milliseconds with their spread, and the ratios of our device with
our `wg` to each other pair. All share the machine's processors: compare ratios of one run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from many_peers import PATH, configuration, milliseconds
from progress import Progress
from results import Report, machine
from rounds import measure_in_turn

from holloway.lab import Host
from hosts import WG, start_device

PAIRS = {
    "holloway": ("holloway", "holloway"),
    "wg on wireguard-go": ("wireguard-go", "original"),
    "wg on holloway-device": ("holloway", "original"),
    "ours on wireguard-go": ("wireguard-go", "holloway"),
}
LESS = "/run/less.conf"


def one_round(device: str, program: str, sections: list[str]) -> dict[str, dict[str, float]]:
    """Measure every step with one pair, on a new device."""
    results: dict[str, dict[str, float]] = {}
    with Host("bench") as host:
        start_device(host, device, "wg0")
        host.write(PATH, "".join(sections[:2]))
        host.run(WG["original"], "setconf", "wg0", PATH)
        results["show, one peer"] = timed(host, program, "show", "wg0")
        host.write(PATH, "".join(sections))
        host.write(LESS, "".join(sections[: len(sections) * 99 // 100]))
        results["setconf, from none"] = timed(host, program, "setconf", "wg0", PATH)
        results["setconf, the same"] = timed(host, program, "setconf", "wg0", PATH)
        results["syncconf, 1 % go"] = timed(host, program, "syncconf", "wg0", LESS)
        results["syncconf, 1 % come"] = timed(host, program, "syncconf", "wg0", PATH)
        results["show dump"] = timed(host, program, "show", "wg0", "dump")
    return results


def timed(host: Host, program: str, *arguments: str) -> dict[str, float]:
    """Run `wg` and measure the time."""
    return {"ms": milliseconds(host, WG[program], *arguments)}


def main() -> int:
    """Measure, and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", type=int, default=10_000)
    parser.add_argument("--out", type=Path, help="write all results to this file as JSON")
    options = parser.parse_args()
    progress = Progress([(name, "all") for name in PAIRS] * options.rounds, guess=20)
    sections = configuration(options.peers)

    def measure(name: str) -> dict[str, dict[str, float]]:
        progress.begin(name, "all")
        return one_round(*PAIRS[name], sections)

    run = measure_in_turn(list(PAIRS), options.rounds, progress, measure)
    print(run.table())
    if options.out is not None:
        Report(run, {"machine": machine(), "peers": options.peers}).write(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())

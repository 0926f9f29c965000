"""Compare the times of recovery from a suspension and from another wall clock, in a guest.

    python bench/clocks.py [--rounds 3] [--seconds 200] [--out FILE.json]

Our device, wireguard-go and the kernel's own WireGuard run in one guest, each with a peer outside,
which is ours. A mishap strikes all three at once. Prints the medians in seconds until a ping is
answered. QEMU emulates the processor, so a figure compares them, and is not that of a real machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from compare import version
from results import Report, Run, machine

from guest.clocks import LIMIT_SECONDS
from guest.image import kernels
from guest.machine import Machine
from guest.mishaps import YEAR, Devices

DEVICES = ["holloway", "wireguard-go", "kernel"]


def one_round(devices: Devices, asleep: int) -> dict[str, dict[str, float | None]]:
    """Return the seconds to recover from each mishap, by device."""
    found = {f"asleep for {asleep} s": devices.suspend(asleep)}
    for name, there in (("back", -YEAR), ("ahead", YEAR)):
        found[f"wall clock set {name} a year"] = devices.set_wall(there)
        found[f"wall clock that was {name} a year is set right"] = devices.set_wall(-there)
        devices.forget_outside()
    return found


def main() -> int:
    """Measure, and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=200, help="how long the machine sleeps")
    parser.add_argument("--out", type=Path, help="write all results to this file as JSON")
    options = parser.parse_args()
    run = Run(DEVICES, [])
    for number in range(options.rounds):
        with tempfile.TemporaryDirectory() as place, Machine(kernels()[0], Path(place)) as guest:
            release = guest.release
            found = one_round(Devices(guest, DEVICES), options.seconds)
        for device in DEVICES:
            results = {
                mishap: {"s": LIMIT_SECONDS if (taken := by[device]) is None else taken}
                for mishap, by in found.items()
            }
            run.rounds.append({"device": device, "results": results})
        print(f"round {number + 1} of {options.rounds} done", file=sys.stderr, flush=True)
    print(run.table())
    print(f"{LIMIT_SECONDS:.0f} s: no answer by then.")
    if options.out is not None:
        about = {
            "machine": machine(),
            "date": datetime.now(UTC).date().isoformat(),
            "versions": {name: version(name) for name in DEVICES[:-1]} | {"kernel": release},
            "limit": LIMIT_SECONDS,
        }
        Report(run, about).write(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())

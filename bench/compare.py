"""Compare our device with others on the same measures, interleaved in one run.

    python bench/compare.py [--quick] [--rounds 5] [--seconds 4] [--devices holloway,wireguard-go]
                            [--also ring] [--also avx2] [--measures "TCP, 1 stream;latency"]
                            [--out FILE.json]

Two hosts in namespaces on a veth pair, a device in each. The order of devices rotates with each
round. Prints medians with their spread, and the ratios of the first device to each other one. All
processes share the machine's processors: compare ratios of one run, never figures of two.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from measures import MEASURES, Figures
from progress import Progress
from results import Report, Run, about_run
from rounds import measure_in_turn
from tunnel import IMPLEMENTATIONS, Tunnel

from hosts import DEVICES, REPOSITORY

ALSO = {"ring": "holloway with ring", "avx2": "holloway with avx2"}


def one_round(
    device: str, seconds: int, measures: list[str], progress: Progress
) -> dict[str, Figures]:
    """Measure one device on a new tunnel."""
    results: dict[str, Figures] = {}
    with ExitStack() as stack:
        tunnel = Tunnel(device, stack)
        for name in measures:
            progress.begin(device, name)
            results[name] = MEASURES[name](tunnel, seconds)
    return results


def all_rounds(devices: list[str], rounds: int, seconds: int, measures: list[str]) -> Run:
    """Measure every device in every round; each round begins with another device."""
    steps = [(device, name) for device in devices for name in measures] * rounds
    progress = Progress(steps, guess=seconds + 1)
    return measure_in_turn(
        devices, rounds, progress, lambda device: one_round(device, seconds, measures, progress)
    )


def versions(devices: list[str]) -> dict[str, str]:
    """Return the exact versions of what is measured."""
    found = {device: version(IMPLEMENTATIONS[device].device) for device in devices}
    found["iperf3"] = output("iperf3", "--version").split("\n")[0].split(" (")[0]
    return found


def version(implementation: str) -> str:
    """Return the commit of our device, or the version of another."""
    if implementation == "holloway":
        commit = output("git", "-C", str(REPOSITORY), "rev-parse", "--short=12", "HEAD")
        changed = output("git", "-C", str(REPOSITORY), "status", "--short", "--", "src", "crates")
        return (commit or "unknown commit") + (", and changes" if changed else "")
    program = DEVICES[implementation][0]
    if implementation == "wireguard-go" and shutil.which("go"):
        # Its --version prints a release, and the module may be years newer.
        return module_version(program)
    return output(program, "--version").split("\n")[0]


def module_version(program: str) -> str:
    """Return the version of the Go module that a program was built from."""
    lines = output("go", "version", "-m", program).splitlines()
    return next((line.split()[2] for line in lines if line.split()[0] == "mod"), "unknown")


def output(*command: str) -> str:
    """Return what a command prints; an empty text if there is no such program."""
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one round, one second a measure")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=int)
    parser.add_argument("--devices", default="holloway,wireguard-go,boringtun")
    parser.add_argument("--also", choices=ALSO, action="append", default=[],
                        help="also measure our device with this cipher")  # fmt: skip
    parser.add_argument("--measures", default=";".join(MEASURES), help="names, separated by `;'")
    parser.add_argument("--out", type=Path, help="write all results to this file as JSON")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 5)
    options.seconds = options.seconds or (1 if options.quick else 4)
    return options


def main() -> int:
    """Measure, and return the exit status."""
    options = arguments()
    devices = options.devices.split(",") + [ALSO[name] for name in options.also]
    # Recorded first, because the sources may change during the run.
    about = about_run("compare.py", versions(devices), seconds=options.seconds)
    run = all_rounds(devices, options.rounds, options.seconds, options.measures.split(";"))
    print(run.table())
    if options.out is not None:
        Report(run, about).write(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())

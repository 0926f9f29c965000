"""Side by side: our device and others on the same measures, interleaved in one run.

    python bench/compare.py [--quick] [--rounds 5] [--seconds 5] [--devices holloway,wireguard-go]
                            [--measures "TCP, 1 stream;latency"] [--out FILE.json]

Two hosts in namespaces on a veth pair, a device in each. The order turns from round to round.
Prints medians with their spread, and the ratio of the first device to the second. All processes
share the machine's processors: compare ratios of one run, never figures of two.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from measures import MEASURES, Figures
from tunnel import Tunnel

Round = dict[str, Any]


def one_round(device: str, seconds: int, measures: list[str]) -> dict[str, Figures]:
    """Measure one device on a tunnel of its own."""
    results: dict[str, Figures] = {}
    with ExitStack() as stack:
        tunnel = Tunnel(device, stack)
        for name in measures:
            progress(f"{device}: {name}")
            results[name] = MEASURES[name](tunnel, seconds)
    return results


def progress(text: str) -> None:
    """Say on a terminal's last line what goes on."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def summary(rounds: list[Round], device: str, measure: str, figure: str) -> list[float]:
    """Median, least and greatest; nothing where it was not measured."""
    found = [
        r["results"][measure][figure]
        for r in rounds
        if r["device"] == device and figure in r["results"].get(measure, {})
    ]
    return [statistics.median(found), min(found), max(found)] if found else []


def figures(rounds: list[Round]) -> list[tuple[str, str]]:
    """Every measure and figure, in their order."""
    seen: dict[tuple[str, str], None] = {}
    for one in rounds:
        for measure, found in one["results"].items():
            seen |= dict.fromkeys((measure, figure) for figure in found)
    return list(seen)


def table(rounds: list[Round], devices: list[str]) -> str:
    """Rows of medians [least-greatest] and the first device's ratio to the second's."""
    lines = [f"| | {' | '.join(devices)} | ratio |", "|---" * (len(devices) + 2) + "|"]
    for measure, figure in figures(rounds):
        summaries = [summary(rounds, device, measure, figure) for device in devices]
        cells = [f"{s[0]:.4g} [{s[1]:.4g}-{s[2]:.4g}]" if s else "-" for s in summaries]
        known = len(summaries) > 1 and summaries[0] and summaries[1] and summaries[1][0]
        ratio = f"{summaries[0][0] / summaries[1][0]:.2f}" if known else "-"
        lines.append(f"| {measure}: {figure} | {' | '.join(cells)} | {ratio} |")
    return "\n".join(lines)


def machine() -> dict[str, object]:
    """Name the machine."""
    model = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "processor": model[0] if model else platform.machine(),
        "processors": os.cpu_count(),
        "kernel": platform.release(),
    }


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one short round, under two minutes")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--devices", default="holloway,wireguard-go,boringtun")
    parser.add_argument("--measures", default=";".join(MEASURES), help="names, with `;' between")
    parser.add_argument("--out", type=Path, help="write everything there as JSON")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 1
    return options


def main() -> int:
    """Measure; returns the exit status."""
    options = arguments()
    devices, rounds = options.devices.split(","), list[Round]()
    started = time.monotonic()
    for number in range(options.rounds):
        turn = number % len(devices)
        for device in devices[turn:] + devices[:turn]:
            results = one_round(device, options.seconds, options.measures.split(";"))
            rounds.append({"device": device, "results": results})
            progress("")
            elapsed = time.monotonic() - started
            print(f"round {number + 1} of {options.rounds}, {device}: {elapsed:.0f} s so far",
                  file=sys.stderr)  # fmt: skip
    print(table(rounds, devices))
    if options.out is not None:
        report = {"machine": machine(), "seconds": options.seconds, "rounds": rounds}
        options.out.write_text(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Compare how devices bear floods, interleaved in one run.

    python bench/floods.py [--quick] [--rounds 3] [--seconds 20] [--devices holloway,wireguard-go]
                           [--rows "initiation 20000;initiation max"] [--out FILE.json]

A server with 2,000 peers gets a flood from an attacker on a link of its own. Each row shows how
much of a TCP transfer through an established tunnel remains, and how many of 20 new clients get in
during the flood. All processes, the flood too, share the machine's processors.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from compare import versions
from floods_clients import COUNT
from floods_report import ENTERED, KEPT, LONGEST, ROWS, TYPICAL, table
from floods_testbed import TARGET, FloodHosts, finish_json
from progress import Progress
from results import Report, Run, about_run
from rounds import rotated

if TYPE_CHECKING:
    from collections.abc import Callable
    from subprocess import Popen

    from floods_report import Row

Figures = dict[str, float]
WARM, BEFORE, LEAD = 1.5, 4.0, 0.5
"""Seconds that TCP runs unmeasured, measured without a flood, and with one before new clients."""


def measure(device: str, row: Row, seconds: float) -> Figures:
    """Measure a device under one kind of flood."""
    with ExitStack() as stack:
        testbed = FloodHosts(device, stack)
        if row.kind == "mixed-train":
            stack.enter_context(testbed.trains_joined())
        start_flood = prepared(row, testbed, seconds)
        # Who comes last has its whole time within the flood too.
        spread, limit = 0.4 * (seconds - LEAD), 0.55 * (seconds - LEAD)
        clients = testbed.program(
            testbed.honest, "new", testbed.keys.public, str(limit), str(spread)
        )
        with testbed.tcp(int(WARM + BEFORE + seconds) + 30):
            time.sleep(WARM)
            before = tcp_rate(testbed, BEFORE)
            flood = start_flood()
            cpu, began = testbed.cpu_seconds(), time.monotonic()
            during = tcp_rate(testbed, seconds, start=(clients, LEAD))
            cpu, took = testbed.cpu_seconds() - cpu, time.monotonic() - began
            sent = finish_json(flood)
        times = finish_json(clients)
        assert isinstance(sent, dict)
        assert isinstance(times, list)
        return {
            "sent/s": sent["sent"] / sent["seconds"],
            "TCP before, Mbit/s": before,
            KEPT: during / before * 100,
            **entered(times),
            "CPU s/s": cpu / took,
            "peak MiB": testbed.peak_memory(),
        }


def prepared(row: Row, testbed: FloodHosts, seconds: float) -> Callable[[], Popen[str]]:
    """Return what starts a row's flood."""
    if row.kind == "peer":
        words = ("hostile", testbed.keys.public, TARGET, str(row.rate), str(seconds))
        return lambda: testbed.program(testbed.attacker, *words)
    options = generator_options(row, testbed, seconds)
    return lambda: testbed.flood(*options)


def generator_options(row: Row, testbed: FloodHosts, seconds: float) -> list[str]:
    """Return the options that make the generator send a row's flood."""
    options = ["--kind", row.kind, "--rate", str(row.rate), "--seconds", str(seconds)]
    if row.sources:
        options += ["--sources", row.sources]
    if row.kind in {"initiation", "mixed-train"}:
        options += ["--public-key", testbed.keys.public]
    if row.kind == "replay":
        options += ["--message", testbed.answered_initiation()]
    if row.kind == "transport":
        options += ["--receivers", testbed.receiver_index()]
    return options


def tcp_rate(
    testbed: FloodHosts, seconds: float, start: tuple[Popen[str], float] | None = None
) -> float:
    """Return the Mbit/s that the server's device passes on for some time.

    `start` is a program that waits for a line of input, and after how many seconds it gets it.
    """
    count, began = testbed.passed_on(), time.monotonic()
    if start is not None:
        program, lead = start
        time.sleep(lead)
        assert program.stdin is not None
        program.stdin.write("go\n")
        program.stdin.flush()
    time.sleep(began + seconds - time.monotonic())
    return (testbed.passed_on() - count) / (time.monotonic() - began) * 8e-6


def entered(times: list[float | None]) -> Figures:
    """Summarize the times in which new clients came in; None is for one that did not."""
    found = [each for each in times if each is not None]
    figures: Figures = {ENTERED: len(found)}
    if found:
        figures |= {TYPICAL: statistics.median(found), LONGEST: max(found)}
    return figures


def all_rounds(devices: list[str], rows: list[Row], rounds: int, seconds: float) -> Run:
    """Measure all rows in every round; each row begins with another device than the last."""
    run = Run(devices, [])
    steps = [(device, row.name) for row in rows for device in devices] * rounds
    progress = Progress(steps, guess=seconds + 12)
    for number in range(rounds):
        found: dict[str, dict[str, Figures]] = {device: {} for device in devices}
        for count, row in enumerate(rows):
            for device in rotated(devices, number + count):
                progress.begin(device, row.name)
                found[device][row.name] = measure(device, row, seconds)
            progress.end()
            progress.log(f"round {number + 1} of {rounds}, {row.name}")
        run.rounds.extend({"device": device, "results": found[device]} for device in devices)
    return run


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one round, six seconds a flood")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of each flood, at most 60")
    parser.add_argument("--devices", default="holloway,wireguard-go")
    parser.add_argument("--rows", default=";".join(ROWS), help="names, separated by `;'")
    parser.add_argument("--out", type=Path, help="write all results to this file as JSON")
    options = parser.parse_args()
    options.rows = options.rows.split(";")
    for name in options.rows:
        if name not in ROWS:
            parser.error(f"unknown row {name!r}; known are {', '.join(ROWS)}")
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.seconds = options.seconds or (6 if options.quick else 20)
    return options


def main() -> int:
    """Measure, and return the exit status."""
    options = arguments()
    devices = options.devices.split(",")
    about = about_run(
        "floods.py",
        versions(devices),
        seconds=options.seconds,
        clients=COUNT,
        load=os.getloadavg()[0],
    )
    rows = [ROWS[name] for name in options.rows]
    run = all_rounds(devices, rows, options.rounds, options.seconds)
    print(table(run, COUNT), run.table(), sep="\n\n")
    if options.out is not None:
        Report(run, about).write(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Compare devices as the gateway of 1, 8 and 64 clients, interleaved in one run.

    python bench/gateway.py [--quick] [--rounds 3] [--seconds 3] [--devices holloway,wireguard-go]
                            [--clients 1,8,64] [--processors 1,2,4] [--percent 10] [--out FILE.json]

TCP from the clients to the gateway, and through it from client to client, one stream a client. The
clients are the same for all gateways. Then the same with slow processors, for which CPU cgroups
take the place: each of a gateway's shards has a processor of its own with `--percent` of a real
one's time, wireguard-go's whole process as much as all shards together. `HOLLOWAY_SHARDS` is the
number of processors then. All processes share the machine's processors: compare ratios of one run.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from compare import versions
from gateway_report import FAIR, FAST, Setting, scaling
from gateway_testbed import Clients, Hub, Load
from progress import Progress
from results import Report, about_run
from rounds import measure_in_turn
from slow_processors import unavailable
from tunnel import IMPLEMENTATIONS, Implementation

Figures = dict[str, float]
WAYS = ("to", "through")


def measure(clients: Clients, hub: Hub, way: str, count: int, seconds: float) -> Figures:
    """Measure one load."""
    flows = clients.to_hub(hub, count) if way == "to" else clients.through_hub(count)
    load = clients.run(hub, flows, seconds)
    return figures(load) | ({"shards": hub.shards()} if hub.shards() else {})


def figures(load: Load) -> Figures:
    """Return the figures of a load; through the hub, a byte counts once."""
    moved = sum(load.moved)
    if moved == 0:
        return {FAST: 0}
    gigabytes = moved / 1e9
    return {
        FAST: moved * 8e-6 / load.seconds,
        "hub's CPU s/GB": load.hub / gigabytes,
        "hub's processors": load.hub / load.seconds,
        "clients' CPU s/GB": load.clients / gigabytes,
        FAIR: min(load.moved) / (moved / len(load.moved)) * 100,
    }


def one_round(
    clients: Clients, device: str, settings: list[Setting], seconds: float, progress: Progress
) -> dict[str, Figures]:
    """Measure one device in all settings; those with the same processors share a hub."""
    results: dict[str, Figures] = {}
    for processors in dict.fromkeys(setting.processors for setting in settings):
        here = [setting for setting in settings if setting.processors == processors]
        implementation = with_shards(IMPLEMENTATIONS[device], processors)
        with clients.hub(implementation, here[0].percent, processors) as hub:
            for setting in here:
                progress.begin(device, setting.name)
                results[setting.name] = measure(clients, hub, setting.way, setting.clients, seconds)
    return results


def with_shards(implementation: Implementation, processors: int) -> Implementation:
    """Return the implementation with a shard for each slow processor; 0 leaves its default."""
    if not processors:
        return implementation
    environment = implementation.environment | {"HOLLOWAY_SHARDS": str(processors)}
    return replace(implementation, environment=environment)


def all_settings(clients: list[int], processors: list[int], percent: float) -> list[Setting]:
    """Return all settings; one client alone cannot use several shards, and is left out there."""
    fast = [Setting(way, count) for way in WAYS for count in clients]
    slow = [
        Setting(way, count, number, percent)
        for number in processors
        for way in WAYS
        for count in clients
        if count > 1
    ]
    return fast + slow


def numbers(text: str) -> list[int]:
    """Read numbers that are separated by commas."""
    return [int(word) for word in text.split(",") if word]


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one round, one second a measure")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--devices", default="holloway,wireguard-go")
    parser.add_argument("--clients", type=numbers, default=[1, 8, 64])
    parser.add_argument("--processors", type=numbers, default=[1, 2, 4], help="slow processors")
    parser.add_argument("--percent", type=float, default=10, help="how slow these are")
    parser.add_argument("--out", type=Path, help="write all results to this file as JSON")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.seconds = options.seconds or (1 if options.quick else 3)
    return options


def main() -> int:
    """Measure, and return the exit status."""
    options = arguments()
    devices = options.devices.split(",")
    if options.processors and (reason := unavailable()):
        print(f"No slow processors: {reason}", file=sys.stderr)
        options.processors = []
    settings = all_settings(options.clients, options.processors, options.percent)
    about = about_run(
        "gateway.py", versions(devices), seconds=options.seconds, load=os.getloadavg()[0]
    )
    steps = [(device, setting.name) for device in devices for setting in settings]
    progress = Progress(steps * options.rounds, guess=options.seconds + 2)
    with ExitStack() as stack:
        clients = Clients(max(2, *options.clients), stack)
        run = measure_in_turn(
            devices,
            options.rounds,
            progress,
            lambda device: one_round(clients, device, settings, options.seconds, progress),
        )
    print(run.table())
    if options.processors:
        print(scaling(run), sep="\n")
    if options.out is not None:
        Report(run, about).write(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())

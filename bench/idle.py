"""What an idle device takes: its memory, by what it is for, and the times that a user waits for.

    python bench/idle.py [--rounds 10] [--before OTHER_SOURCE_DIRECTORY] [--out FILE.json]

A device is one end of a tunnel with a session and no traffic. Its memory is what its process has
resident, and what its monitor does not share with it (MiB). Below stand Pythons that wait for
input, each with what its name adds: no device in Python can be smaller than these. `--before` is
the `src` of another version, with its extension. Rounds are interleaved, and start with another
version each. Every time includes the start of the program that is timed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import processes
import tunnel as tunnels
from many_peers import milliseconds
from progress import Progress
from quick import ANSWERS
from results import Report, machine
from rounds import measure_in_turn
from tunnel import PROGRAMS, Implementation, Tunnel

import holloway
from holloway.lab import Host
from hosts import DEVICES, WG, eventually

Figures = dict[str, float]

SHOWS = 3
"""How often `wg show` is timed in a round."""
WITHOUT_SSL = "import sys; sys.modules['ssl'] = None; "
PYTHONS = {
    "nothing": (["-S", "-I"], ""),
    "site": ([], ""),
    "socket and select": ([], "import socket, select"),
    "the same and logging": ([], "import socket, select, logging"),
    "the same and the extension": ([], "import socket, select, logging, holloway._native"),
    "the same and a key": (
        [],
        "import socket, select, logging; "
        "from holloway.core.noise import Identity; Identity(bytes(range(32)))",
    ),
    "asyncio without TLS": ([], WITHOUT_SSL + "import asyncio"),
    "asyncio": ([], "import asyncio"),
}
"""What a Python imports that does nothing else."""
KINDS = (
    ("heap", "[heap]"),
    ("stack", "[stack]"),
    ("extension", "_native."),
    ("cryptography", "/cryptography/"),
    ("Python", "libpython"),
    ("libraries", ".so"),
    ("Python", "/"),
)
"""The kinds of mappings, by a part of their name; the first that fits counts."""
ANONYMOUS = "objects, buffers, threads"


def kind_of(mapping: str) -> str:
    """Return the kind of a mapping by its name in smaps."""
    return next((kind for kind, part in KINDS if part in mapping), ANONYMOUS)


def resident(smaps: list[list[str]]) -> Figures:
    """Return the resident MiB by kind, from the words of each line of smaps."""
    found: Figures = {}
    kind = ANONYMOUS
    for words in smaps:
        if words[0] == "Rss:":
            found[kind] = found.get(kind, 0) + int(words[1]) / 1024
        elif not words[0].endswith(":"):
            kind = kind_of(words[5] if len(words) > 5 else "")
    return found


def of_process(pid: int) -> Figures:
    """Return the resident MiB of a process of this machine by kind."""
    lines = Path(f"/proc/{pid}/smaps").read_text().splitlines()
    return resident([line.split() for line in lines])


def python(options: list[str], program: str, environment: dict[str, str]) -> Figures:
    """Start a Python that runs a program and waits, and return its memory."""
    command = [sys.executable, *options, "-c", f"{program}\nprint(flush=True); input()"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    ) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "\n"
        found = of_process(started.pid)
        started.communicate("\n")
    return {"MiB": sum(found.values())}


def of_device(host: Host) -> Figures:
    """Return the memory of a device, in all and by kind, and of its monitor."""
    found: dict[int, list[list[str]]] = {}
    for words in processes.for_each_process(
        host, "echo process ${p##*/}; cat $p/smaps", include=PROGRAMS
    ):
        if words[0] == "process":
            found[int(words[1])] = smaps = []
        else:
            smaps.append(words)
    by_process = [resident(smaps) for smaps in found.values()]
    device = max(by_process, key=lambda kinds: sum(kinds.values()))
    whole = tunnels.device_memory(host)
    return {
        "MiB": whole,
        "its monitor's MiB": whole - sum(device.values()),
        **{f"{kind}, MiB": size for kind, size in sorted(device.items())},
    }


def measure_device(name: str, device: str, environment: dict[str, str]) -> dict[str, Figures]:
    """Measure an idle device in a tunnel, then the times in a new host."""
    results: dict[str, Figures] = {}
    tunnels.IMPLEMENTATIONS[name] = Implementation(device, environment)
    show = WG["holloway" if device == "holloway" else "original"]
    with ExitStack() as stack:
        tunnel = Tunnel(name, stack)
        results["memory"] = of_device(tunnel.hosts[0])
        times = [
            milliseconds(tunnel.hosts[0], show, "show", "wg0", environment=environment)
            for _ in range(SHOWS)
        ]
        results["wg show"] = {"ms": statistics.median(times)}
    with Host("bench") as host:
        command = ("sh", "-c", ANSWERS, "start", *DEVICES[device], "wg0")
        results["device answers"] = {"ms": milliseconds(host, *command, environment=environment)}
        host.run("rm", "/run/wireguard/wg0.sock")
        assert eventually(lambda: "wg0" not in host.run("ip", "link").stdout)
    return results


def measure_pythons(environment: dict[str, str]) -> dict[str, Figures]:
    """Measure each of the waiting Pythons."""
    return {
        f"Python with {name}": python(*each, os.environ | environment)
        for name, each in PYTHONS.items()
    }


def main() -> int:
    """Measure, and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--before", type=Path, help="the `src` of another version")
    parser.add_argument("--out", type=Path, help="write all results to this file as JSON")
    options = parser.parse_args()
    sources = {"holloway": Path(holloway.__file__).parent.parent}
    if options.before is not None:
        sources["before"] = options.before.absolute()
    names = [*sources, "wireguard-go"]
    progress = Progress([(name, "all") for name in names] * options.rounds, guess=5)

    def measure(name: str) -> dict[str, Figures]:
        progress.begin(name, "all")
        if name not in sources:
            return measure_device(name, name, {})
        environment = {"PYTHONPATH": str(sources[name])}
        pythons = measure_pythons(environment) if name == "holloway" else {}
        return measure_device(name, "holloway", environment) | pythons

    run = measure_in_turn(names, options.rounds, progress, measure)
    print(f"load average {os.getloadavg()[0]:.1f}")
    print(run.table())
    if options.out is not None:
        Report(run, {"machine": machine()}).write(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Compare peers without root: our `Network` and `holloway proxy` with the kernel's TCP over
wireguard-go's TUN (as root), wireproxy, onetun and wireguard-requests.

    python bench/embedded.py [--quick] [--rounds 3] [--seconds 4] [--measures "bulk;cold start"]
                             [--implementations "Network;onetun"] [--out FILE.json]

The far peer is the same for all: wireguard-go on a TUN, with nginx behind it; `bulk, ours far` is
`bulk` with our device there. All are measured interleaved in one run. Reports and skips what is not
built. Prints medians with their spread, and our ratios.
"""

from __future__ import annotations

import argparse
import compileall
import json
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from compare import module_version, output, version
from embedded_implementations import (
    IMPLEMENTATIONS,
    PYTHON,
    REFERENCE,
    ImplementationFailed,
    Peer,
    running,
)
from embedded_testbed import ENDPOINT, FAR, SINK, Testbed
from processes import cpu_seconds
from progress import Progress
from results import Report, Run, about_run
from rounds import rotated

import holloway
from hosts import PEERS

if TYPE_CHECKING:
    from collections.abc import Callable

Figures = dict[str, float]
WEB = f"http://{FAR}"
OURS_FAR = "bulk, ours far"
CONGESTION_CONTROL = Path("/proc/sys/net/ipv4/tcp_congestion_control")


def bulk(testbed: Testbed, name: str, seconds: int, endpoint: str = ENDPOINT) -> Figures:
    """Measure one connection in each direction."""
    found: Figures = {}
    for direction, one in (("down", down), ("up", up)):
        with suppress(ImplementationFailed), running(name, testbed, endpoint) as peer:
            before = cpu_seconds(testbed.far)
            count, took, cpu = one(peer, seconds)
            far = cpu_seconds(testbed.far) - before
            found |= {f"{direction} MB/s": count / took / 1e6,
                      f"{direction} CPU s/GB": cpu / count * 1e9,
                      f"{direction} far CPU s/GB": far / count * 1e9}  # fmt: skip
    return found


def down(peer: Peer, seconds: float) -> tuple[float, float, float]:
    """Return the bytes, seconds and CPU seconds of a download."""
    before = peer.cpu()
    if peer.implementation.curl is None:
        found = peer.load("down", seconds)
        return found["bytes"], found["seconds"], found["cpu"]
    text, used = peer.curl("-m", str(seconds), "-o", "/dev/null", "-w",
                           "%{size_download} %{time_total} %{time_starttransfer}",
                           f"{WEB}/big")  # fmt: skip
    count, total, first = map(float, text.split())
    return count or 1, total - first, used + peer.cpu() - before


def up(peer: Peer, seconds: float) -> tuple[float, float, float]:
    """Return the bytes and seconds of an upload as the far end counts, and the CPU seconds."""
    before = peer.cpu()
    if peer.implementation.curl is None:
        used = peer.load("up", seconds)["cpu"]
    else:
        _, used = peer.curl("-m", str(seconds), "-H", "Expect:", "-T", "/dev/zero",
                            f"{WEB}:{SINK}/")  # fmt: skip
        used += peer.cpu() - before
    count, took = peer.testbed.uploaded()
    return count, took, used


def connections(testbed: Testbed, name: str, seconds: int) -> Figures:
    """Measure new connections per second, with one request each."""
    found: Figures = {}
    for at_once in (1, 50):
        with suppress(ImplementationFailed), running(name, testbed) as peer:
            found[f"{at_once} at a time"] = rate(peer, at_once, seconds)
    return found


def rate(peer: Peer, at_once: int, seconds: float) -> float:
    """Return the number of new connections per second, `at_once` at a time."""
    if peer.implementation.curl is None or at_once > 1:
        return peer.load(f"connections {at_once}", seconds)["a second"]
    number = 4
    while True:
        began = time.monotonic()
        text, _ = peer.curl("-m", "15", "-H", "Connection: close", "-w", "%{http_code}\n",
                            "-o", "/dev/null", f"{WEB}/ok?[1-{number}]", timeout=300)  # fmt: skip
        took = time.monotonic() - began
        if took > seconds / 3:
            return text.count("200") / took
        number = min(int(number * seconds / took), number * 20)


def idle_connections(number: int) -> Callable[[Testbed, str, int], Figures]:
    """Measure the memory of many idle connections."""

    def measure(testbed: Testbed, name: str, seconds: int) -> Figures:
        del seconds
        with running(name, testbed) as peer:
            before = peer.memory() if peer.implementation.curl is not None else 0
            with peer.started("idle", number) as load:
                assert load.stdout is not None
                line = load.stdout.readline()
                if not line:
                    raise ImplementationFailed("no connection")
                found = json.loads(line)
                in_load = found["after"] - found["before"], found["after"]
                if peer.implementation.curl is None:
                    grown, total = in_load
                else:
                    # Without the load, which runs in the same host.
                    total = peer.memory() - found["after"]
                    grown = total - before
            return {"come up": found["up"], "KiB each": grown * 1024 / max(1, found["up"]),
                    "MiB in all": total}  # fmt: skip

    return measure


def over_lossy_link(delay: float, loss: int) -> Callable[[Testbed, str, int], Figures]:
    """Measure one connection over a slow or lossy link."""

    def measure(testbed: Testbed, name: str, seconds: int) -> Figures:
        with testbed.lossy_link(delay, loss) as endpoint:
            found = bulk(testbed, name, 2 * seconds, endpoint)
        return {figure: value for figure, value in found.items() if "CPU" not in figure}

    return measure


def cold_start(testbed: Testbed, name: str, seconds: int) -> Figures:
    """Measure the time to the first byte, including the start of Python if it is needed."""
    del seconds
    peer = Peer(name, testbed, ENDPOINT)
    try:
        began = time.monotonic()
        peer.start()
        if peer.implementation.curl is None:
            return {"ms": (peer.load("first byte", 0)["at"] - began) * 1000}
        peer.wait()
        return {"ms": (time.monotonic() - began) * 1000}
    finally:
        peer.stop()


def events(silent: int) -> Callable[[Testbed, str, int], Figures]:
    """Check whether a connection survives a new port of the far end, and silence."""

    def measure(testbed: Testbed, name: str, seconds: int) -> Figures:
        del seconds
        found: Figures = {"the far port changes": 0, f"{silent} s of silence": 0}
        with suppress(ImplementationFailed), running(name, testbed) as peer:
            found["the far port changes"] = roams(peer)
        with suppress(ImplementationFailed), running(name, testbed) as peer:
            found[f"{silent} s of silence"] = peer.load("silence", silent)["survives"]
        return found

    return measure


def roams(peer: Peer) -> float:
    """Return whether a slow download continues after the far port changes."""
    with peer.started("roam", 12) as load:
        assert load.stdout is not None
        if load.stdout.readline() != "flowing\n":
            return 0.0
        peer.testbed.wg("listen-port", "51999")
        line = load.stdout.readline()
        peer.testbed.wg("listen-port", "51820")
    return float(json.loads(line)["survives"]) if line else 0.0


def measures(quick: bool) -> dict[str, Callable[[Testbed, str, int], Figures]]:
    """Return all measures in the order of the run."""
    number, silent = (1000, 5) if quick else (10_000, 30)
    return {
        "bulk": bulk,
        OURS_FAR: bulk,
        "connections a second": connections,
        f"{number} idle connections": idle_connections(number),
        "50 ms": over_lossy_link(25, 0),
        "1 % loss": over_lossy_link(0, 10),
        "cold start": cold_start,
        "survives": events(silent),
    }


def available(names: list[str]) -> list[str]:
    """Return the implementations that are built, and report the others."""
    found = []
    for name in names:
        missing = IMPLEMENTATIONS[name].missing()
        if missing:
            print(f"{name} is skipped: {missing} is missing", file=sys.stderr)
        else:
            found.append(name)
    return found


def all_rounds(names: list[str], options: argparse.Namespace) -> Run:
    """Measure every implementation in every round; all take a measure before the next begins."""
    known = measures(options.quick)
    chosen = [name for name in known if not options.measures or name in options.measures.split(";")]
    run = Run(names, [])
    steps = [(name, measure) for name in names for measure in chosen] * options.rounds
    progress = Progress(steps, guess=2.5 * options.seconds + 2)
    for number in range(options.rounds):
        results: dict[str, dict[str, Figures]] = {name: {} for name in names}
        with ExitStack() as stack:
            theirs = Testbed(stack, "wireguard-go")
            ours = Testbed(stack, "holloway") if OURS_FAR in chosen else theirs
            for measure in chosen:
                testbed = ours if measure == OURS_FAR else theirs
                for name in rotated(names, number):
                    progress.begin(name, measure)
                    try:
                        results[name][measure] = known[measure](testbed, name, options.seconds)
                    except (
                        ImplementationFailed,
                        AssertionError,
                        subprocess.SubprocessError,
                    ) as error:
                        print(f"{name}, {measure}: {error}", file=sys.stderr)
        progress.end()
        run.rounds.extend({"device": name, "results": results[name]} for name in names)
        progress.log(f"round {number + 1} of {options.rounds}")
    return run


def versions(names: list[str]) -> dict[str, str]:
    """Return the exact versions of what is measured."""
    wireguard_requests = "wireguard-requests"
    packages = metadata.distributions(name=wireguard_requests, path=[str(PYTHON)])
    found = {
        "holloway": version("holloway"),
        "wireguard-go": version("wireguard-go"),
        "wireproxy": module_version(str(PEERS / "wireproxy")),
        "onetun": output(str(PEERS / "onetun"), "--version").removeprefix("onetun "),
        wireguard_requests: next((package.version for package in packages), "unknown"),
    }
    return {name: found[name] for name in found if name in {"holloway", "wireguard-go", *names}}


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one round, one second a measure")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=int)
    parser.add_argument(
        "--implementations", default=";".join(IMPLEMENTATIONS), help="names, separated by `;'"
    )
    parser.add_argument("--measures", default="", help="names, separated by `;'")
    parser.add_argument("--out", type=Path, help="write all results to this file, and a page")
    options = parser.parse_args()
    known = {*IMPLEMENTATIONS, *measures(options.quick), ""}
    for name in [*options.implementations.split(";"), *options.measures.split(";")]:
        if name not in known:
            parser.error(f"unknown name {name!r}; known are {', '.join(sorted(known - {''}))}")
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.seconds = options.seconds or (1 if options.quick else 4)
    return options


def main() -> int:
    """Measure, and return the exit status."""
    options = arguments()
    # As pip does when it installs: the loads have no rights to write bytecode themselves.
    compileall.compile_dir(Path(holloway.__file__).parent, quiet=1)
    names = available(options.implementations.split(";"))
    about = about_run(
        "embedded.py", versions(names), reference=REFERENCE, seconds=options.seconds
    ) | {"congestion control": CONGESTION_CONTROL.read_text().strip()}
    run = all_rounds(names, options)
    print(run.table())
    if options.out is not None:
        report = Report(run, about)
        report.write(options.out)
        options.out.with_suffix(".md").write_text(page(report))
    return 0


def page(report: Report) -> str:
    """Return the page that reports the run."""
    about, run = report.about, report.run
    return "\n".join((
        "# Peers without root, measured",
        "",
        f"{report.machine()}, {about['date']}: {run.number()} interleaved rounds of",
        f"{about['seconds']} seconds a measure, with {about['congestion control']} as the system's",
        f"congestion control. `{about['reference']}` is the reference, as root;",
        f"the far end is wireguard-go on a TUN with nginx, for all the same; in `{OURS_FAR}` it is",
        "our device.",
        "",
        *report.origin(),
        "",
        "Medians with least and greatest in brackets, and ratios of the first one's medians to the",
        "others'. Rates are better when larger, all else when smaller; 1 means that it survives.",
        "CPU is the near side's: the tunnel and the program that loads it; far CPU the far side's.",
        "",
        run.table(),
        "",
    ))  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())

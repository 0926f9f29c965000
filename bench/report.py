"""Report the committed run: its page and its picture in `docs/benchmarks`.

    python bench/report.py [--check]

All is made from `docs/benchmarks/results.json`, so that no page claims what was not measured. With
`--check` nothing is written: exits with status 1 if a page says something else than the run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from chart import draw
from results import Report

REPOSITORY = Path(__file__).parent.parent
RESULTS = REPOSITORY / "docs/benchmarks/results.json"
PICTURE = REPOSITORY / "docs/benchmarks/results.svg"
PAGE = REPOSITORY / "docs/benchmarks/README.md"

QUOTED = [
    ("TCP throughput, one stream", "TCP, 1 stream", "Mbit/s"),
    ("TCP throughput, four streams", "TCP, 4 streams", "Mbit/s"),
    ("CPU per GB of TCP, one stream", "TCP, 1 stream", "CPU s/GB"),
    ("CPU per UDP packet of 64 bytes", "UDP, 64 bytes", "CPU us/packet"),
    ("round trip of an idle tunnel, median", "latency", "idle median ms"),
    ("round trip beside a TCP transfer, 99 %", "latency", "loaded 99 % ms"),
    ("handshakes answered a second", "handshakes", "answers/s"),
    ("memory of an idle tunnel", "idle", "MiB"),
    ("memory with 10,000 peers", "10000 peers", "MiB"),
    ("taking the configuration of 10,000 peers", "10000 peers", "setconf ms"),
]
"""What stands at the top of the page."""

NOTES = """\
## What is measured

- Two hosts in network namespaces on a veth pair, a device in each, configured by the original
  `wg`; the load is iperf3 and ping. Everything shares the machine's processors, so a device that
  needs less of them also leaves more to the load. Ratios of one run hold; figures do not carry to
  another machine or another day.
- The link costs nothing: veth passes segmented datagrams on whole and computes no checksums. A
  network card costs more.
- TCP: what the receiver got, with cubic, the kernel's default, whatever the machine's setting is.
  BBR sends by a clock, which makes a fast device wait. CPU is that of both devices, user and
  system. *Reverse*: the far end sends.
- UDP: one sender, as fast as it can, without segmentation in the application. The figure counts
  what the far device passed on.
- Latency, *loaded*: pings beside a transfer at full speed wait behind what its sender has queued
  before the device, with cubic up to the 4 MB of its send buffer, however fast the device is. So
  look at the 99th percentile, and at the pings beside a transfer of 300 Mbit/s, which every device
  carries.
- *First handshake*: the round trip of the first ping to a peer that was just added: a handshake,
  and data there and back. *Handshakes*: initiations of many peers, at most 64 of them unanswered.
  A device that leaves more than one in twenty unanswered has no rate: it sheds load, as it may, and
  its rate would not measure speed.
- *Many peers*: a separate device, configured and shown by the original `wg`, whose own time is
  included.
- *Idle*: how often a thread of both devices was scheduled, while there was a session and no
  traffic.

`make bench` repeats it (`BENCH="--also ring --out docs/benchmarks/results.json"`), and `make
report` makes this page and the picture from what it found.
"""


def page(report: Report) -> str:
    """Return the page that has everything."""
    about, run = report.about, report.run
    wide = "yes" if about["machine"]["AVX-512 with IFMA and VBMI2"] else "no"
    return "\n".join((
        "# Measured",
        "",
        summary(report),
        "",
        "![Bars of every figure](results.svg)",
        "",
        f"{report.machine()} (AVX-512 with IFMA and VBMI2: {wide}), {about['date']}:",
        f"{run.number()} interleaved rounds, {about['seconds']} seconds a measure.",
        "",
        f"    {about['command']}",
        "",
        *(f"- {name}: {version}" for name, version in about["versions"].items()),
        "",
        "Medians with least and greatest in brackets, and ratios of our medians to the others'.",
        "Rates (`/s`) are better when larger, everything else when smaller.",
        "",
        run.table(),
        "",
        NOTES,
    ))  # fmt: skip


def summary(report: Report) -> str:
    """Return the table at the top of the page."""
    others = report.run.implementations[1:]
    lines = [
        f"| holloway's, as a multiple of | {' | '.join(others)} |",
        "|---" * (1 + len(others)) + "|",
    ]
    for words, measure, figure in QUOTED:
        ratios = [report.run.ratio(other, measure, figure) for other in others]
        cells = ["-" if ratio is None else f"{ratio:.2f}" for ratio in ratios]
        lines.append(f"| {words} | {' | '.join(cells)} |")
    return "\n".join(lines)


def pages() -> dict[Path, str]:
    """Return every page that tells the run, and what it should say."""
    report = Report.read(RESULTS)
    return {
        PICTURE: draw(report),
        PAGE: page(report),
    }


def main() -> int:
    """Write, or check; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    should = pages()
    stale = [path for path in should if not path.exists() or path.read_text() != should[path]]
    for path in stale:
        name = path.relative_to(REPOSITORY)
        if check:
            print(f"{name} does not say what the run found: make report", file=sys.stderr)
        else:
            path.write_text(should[path])
            print(f"wrote {name}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())

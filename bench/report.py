"""Report the committed runs: write their pages and charts in `docs/benchmarks`.

    python bench/report.py [--check]

They are generated from the results that are stored beside them as JSON, so that they contain only
measured figures. With `--check`, writes nothing and exits with status 1 if a page differs from its
run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import active_report
import floods_report
import gateway_report
import mishaps_report
from chart import draw
from results import Report

REPOSITORY = Path(__file__).parent.parent
RESULTS = REPOSITORY / "docs/benchmarks/results.json"
PICTURE = REPOSITORY / "docs/benchmarks/results.svg"
PAGE = REPOSITORY / "docs/benchmarks/README.md"
FLOODS = REPOSITORY / "docs/benchmarks/floods.json"
MISHAPS = REPOSITORY / "docs/benchmarks/mishaps.json"
CLOCKS = REPOSITORY / "docs/benchmarks/clocks.json"
GATEWAY = REPOSITORY / "docs/benchmarks/gateway.json"
ACTIVE = REPOSITORY / "docs/benchmarks/active-peers.json"

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
"""The rows of the table at the top of the page."""

NOTES = """\
## What is measured

- Two hosts in network namespaces are connected by a veth pair, with a device in each, configured
  by the original `wg`. The load is iperf3 and ping. Everything shares the machine's processors, so
  a device that uses less CPU leaves more to the load. Compare ratios of one run; figures are not
  comparable with those of another machine or another day.
- The link costs nothing: veth forwards segmented datagrams whole and computes no checksums. A
  network card costs more.
- TCP: the rate at the receiver, with cubic, the kernel's default, whatever the machine's setting
  is. BBR paces its packets, which makes a fast device wait. CPU is user and system time of both
  devices. *Reverse*: the far end sends.
- UDP: one sender, as fast as it can, without segmentation in the application. The figure counts
  what the far device passed on.
- Latency, *loaded*: during a transfer at full speed, pings wait behind the packets that its sender
  has queued before the device, with cubic up to the 4 MB of the send buffer, however fast the
  device is. So look at the 99th percentile, and at the pings during a transfer of 300 Mbit/s, which
  every device can carry.
- *First handshake*: the round trip of the first ping to a peer that was just added: a handshake,
  and data in both directions. *Handshakes*: initiations of many peers, at most 64 of them
  unanswered at a time. A device that leaves more than one in twenty unanswered has no rate: it may
  drop initiations under load, and its rate would not measure speed.
- *Many peers*: a separate device, configured and shown by the original `wg`, whose time is
  included.
- *Idle*: the number of context switches of both devices' threads, with a session and no traffic.

`make bench` repeats the run (`BENCH="--also ring --out docs/benchmarks/results.json"`), and `make
report` generates this page and the chart from its results.
"""


def page(report: Report) -> str:
    """Return the page with all results."""
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
        *report.origin(),
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
    """Return the paths of the pages and the charts of the committed runs, and their text."""
    report = Report.read(RESULTS)
    found = {PICTURE: draw(report), PAGE: page(report)}
    floods = Report.read(FLOODS)
    found[FLOODS.with_suffix(".svg")] = floods_report.picture(floods)
    found[FLOODS.with_suffix(".md")] = floods_report.page(floods)
    mishaps, clocks = Report.read(MISHAPS), Report.read(CLOCKS)
    found[MISHAPS.with_suffix(".md")] = mishaps_report.page(mishaps, clocks)
    for path, page_of in ((GATEWAY, gateway_report.page), (ACTIVE, active_report.page)):
        if path.exists():
            found[path.with_suffix(".md")] = page_of(Report.read(path))
    return found


def main() -> int:
    """Write or check the files, and return the exit status."""
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
            print(f"{name} differs from its run: make report", file=sys.stderr)
        else:
            path.write_text(should[path])
            print(f"wrote {name}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())

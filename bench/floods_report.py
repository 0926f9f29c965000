"""The rows of `floods`, and how a run of them is shown: as a table, a page and a chart.

This module does not know how a figure is measured. `floods` and `report` call it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chart import Chart, Panel, draw

if TYPE_CHECKING:
    from results import Report, Run

KEPT, ENTERED, TYPICAL, LONGEST = "TCP kept %", "clients in", "median s", "longest s"

KINDS = {
    "initiation": "initiations",
    "wrong-mac1": "initiations with a wrong mac1",
    "random": "random bytes",
    "replay": "one initiation replayed",
    "peer": "valid initiations of one peer",
    "transport": "transport messages with a wrong tag",
    "mixed-train": "trains of transport messages and initiations",
}


@dataclass(frozen=True)
class Row:
    """A kind of flood; its rate in packets a second is 0 for as many as one processor sends."""

    kind: str
    rate: int
    sources: str = ""

    @property
    def name(self) -> str:
        """The row's name on the command line and in the results."""
        return " ".join(filter(None, (self.kind, self.sources, str(self.rate or "max"))))

    @property
    def title(self) -> str:
        """The row's name for readers."""
        rate = f"{self.rate:,} a second" if self.rate else "as fast as one processor sends"
        source = "from its own address, " if self.sources else ""
        return f"{KINDS[self.kind]}, {source}{rate}"


ROWS = {
    row.name: row
    for row in (
        Row("initiation", 20_000),
        Row("initiation", 50_000),
        Row("initiation", 100_000),
        Row("initiation", 0),
        Row("wrong-mac1", 100_000),
        Row("random", 100_000),
        Row("replay", 20_000),
        Row("replay", 100_000),
        Row("replay", 100_000, "own"),
        Row("peer", 50),
        Row("peer", 1000),
        Row("transport", 100_000),
        Row("mixed-train", 100_000),
    )
}

PANELS = [
    panel
    for row in ROWS.values()
    for panel in (
        Panel(row.title, row.name, KEPT, "TCP kept, %", more_is_better=True),
        Panel("", row.name, ENTERED, "new clients in", more_is_better=True),
        Panel("", row.name, TYPICAL, "seconds until a client is in, median"),
    )
]  # fmt: skip

NOTES = """\
## What is measured

- A server has 2,000 peers and, on a link of its own each, three other hosts: a client with an
  established tunnel, 20 new clients without a session, and an attacker. All hosts are network
  namespaces that share the machine's processors, so every flood costs TCP at least what it takes
  to send it and what the kernel takes to deliver it.
- *TCP kept*: the bytes a second that the server's device passes on from iperf3 (cubic, from the
  client to the server) during the flood, as a share of those before it. The client's device is of
  the same implementation as the server's.
- *New clients*: each has a key of its own. They start one after the other during the first two
  fifths of the flood, and each has eleven twentieths of its length to get in: until a ping through
  the tunnel is answered, as measured from the first one. They are the same for all devices:
  peers of [our own](../reference/network.md), with the protocol's own timers, who store and use
  cookies.
- *Floods*: one thread sends from random addresses in 32.0.0.0/3 (`crates/flood`). *Initiations*
  have a valid mac1: the attacker knows the server's public key. All else in them is random. *One
  initiation replayed* was made by a peer and accepted once. *Transport messages* have the
  receiver index of the client's session. *Valid initiations of one peer* come from its own address,
  each later than the last, so the device has to decrypt them. *Trains*: each transport message and
  the initiation after it have one source, and the kernel joins them.
- The full table has the rate that was really sent, the CPU seconds a second of the server's device,
  and the peak memory of its largest process.

`make floods` repeats the run (`BENCH="--out docs/benchmarks/floods.json"`), and `make report`
generates this page and the chart from its results.
"""


def table(run: Run, clients: int) -> str:
    """Return the medians that matter most: TCP kept, new clients in, and their times."""
    names = " | ".join(run.implementations)
    lines = [f"| flood | {names} |", "|---" * (1 + len(run.implementations)) + "|"]
    for measure in dict.fromkeys(measure for measure, _ in run.figures()):
        cells = [_cell(run, device, measure, clients) for device in run.implementations]
        lines.append(f"| {ROWS[measure].title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(run: Run, device: str, measure: str, clients: int) -> str:
    found = [run.summary(device, measure, figure) for figure in (KEPT, ENTERED, TYPICAL, LONGEST)]
    kept, entered, typical, longest = (one and one.median for one in found)
    if kept is None or entered is None:
        return "-"
    text = f"{kept:.0f} %, {entered:.0f} of {clients}"
    if typical is None or longest is None:
        return text
    return f"{text} in {typical:.2g} s, longest {longest:.2g} s"


def page(report: Report) -> str:
    """Return the page with all results."""
    about, run = report.about, report.run
    return "\n".join((
        "# Floods, measured",
        "",
        "How much of a TCP transfer an established tunnel keeps during a flood, and how many of"
        f" {about['clients']} new",
        "clients get in.",
        "",
        table(run, about["clients"]),
        "",
        "![Bars of every flood](floods.svg)",
        "",
        f"{report.machine()}, {about['date']}: {run.number()} interleaved rounds, floods of",
        f"{about['seconds']:.0f} seconds. Medians. The load average before the run was"
        f" {about['load']:.1f}.",
        "",
        *report.origin(),
        "",
        NOTES,
        "## All figures",
        "",
        "Medians with least and greatest in brackets, and ratios of our medians to the others'.",
        "",
        run.table(),
        "",
    ))  # fmt: skip


def picture(report: Report) -> str:
    """Return the chart."""
    chart = Chart(PANELS, "shared by the devices, their load and the flood", "")
    return draw(report, chart)

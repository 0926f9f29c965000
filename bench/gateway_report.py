"""The settings of `gateway`, and how a run of them is shown: as tables and a page.

This module does not know how a figure is measured. `gateway` and `report` call it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from results import Report, Run

FAST, FAIR = "Mbit/s", "slowest client, % of the mean"


@dataclass(frozen=True)
class Setting:
    """A load, and on how many slow processors the hub runs; 0: on those of the machine."""

    way: str
    clients: int
    processors: int = 0
    percent: float = 0

    @property
    def name(self) -> str:
        """The name in the results."""
        load = f"{self.way} the hub, {counted(self.clients, 'client')}"
        return f"{slow(self.processors, self.percent)}: {load}" if self.processors else load


def counted(number: int, what: str) -> str:
    """Return a number and what it counts."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def slow(processors: int, percent: float) -> str:
    """Return the words for slow processors."""
    return f"{counted(processors, 'processor')} of {percent:g} %"


NOTES = """\
## What is measured

- A hub (`wg0` with 64 peers) and on one link all clients, which are devices of ours whatever the
  hub is. Each client's interface is in a network namespace of its own, so that clients reach one
  another through the hub only. A veth pair is the link. All share the machine's processors.
- *To the hub*: a TCP stream from each client. *Through the hub*: a stream from each client to the
  next; a byte counts once, and the hub opens and seals it. The rate is that of all streams.
  Who receives does not copy what comes.
- *Hub's CPU*: user and system time of its device, whatever the rate; *hub's processors*: how many
  that is at this rate. *Clients' CPU*: that of all clients.
- *Slow processors*: on few real processors the hub is rarely the bottleneck. So each thread of the
  hub that moves packets (`holloway-shard`, as many as `HOLLOWAY_SHARDS` says) is in a CPU cgroup of
  its own with a part of one processor's time, and wireguard-go's whole process in one with that
  part times their number. A period of the quota is 10 ms.

`make bench-gateway` repeats the run, and `make report` generates this page from its results.
"""


def scaling(run: Run) -> str:
    """Return the rates on slow processors, as multiples of that on the fewest."""
    loads: dict[str, list[str]] = {}
    for measure in dict.fromkeys(measure for measure, _ in run.figures()):
        processors, colon, load = measure.partition(": ")
        if colon:
            loads.setdefault(load, []).append(processors)
    columns = list(dict.fromkeys(one for each in loads.values() for one in each))
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (1 + len(columns)) + "|"]
    for load, there in loads.items():
        for name in run.implementations:
            cells = _multiples(run, name, [f"{processors}: {load}" for processors in there])
            lines.append(f"| {load}, {name}, Mbit/s | {' | '.join(cells)} |")
    return "\n".join(lines)


def _multiples(run: Run, name: str, measures: list[str]) -> Iterator[str]:
    found = [run.summary(name, measure, FAST) for measure in measures]
    first = found[0].median if found[0] else 0
    for one in found:
        if one is None or not first:
            yield "-"
        else:
            yield f"{one.median:.0f} ({one.median / first:.2f})"


def page(report: Report) -> str:
    """Return the page with all results."""
    return "\n".join((
        "# A gateway, measured",
        "",
        "Clients that send through one device, beside wireguard-go.",
        "",
        "## Slow processors",
        "",
        "Mbit/s, and in parentheses the multiple of one processor.",
        "",
        scaling(report.run),
        "",
        "## All figures",
        "",
        *measured(report, "a measure"),
        "",
        NOTES,
    ))  # fmt: skip


def measured(report: Report, each: str) -> list[str]:
    """Return the lines with the table of all figures, and what it was made with."""
    about, run = report.about, report.run
    return [
        f"{report.machine()}, {about['date']}: {run.number()} interleaved rounds,",
        f"{about['seconds']:g} seconds {each}. The load average before the run was"
        f" {about['load']:.1f}.",
        "",
        *report.origin(),
        "",
        "Medians with least and greatest in brackets, and ratios of our medians to the others'.",
        "",
        run.table(),
    ]

"""The page of recovery times, from the runs of `mishaps` and `clocks`. Called by `report`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from results import Report, Run, Summary

UNDERLAY = """\
Each mishap has two hosts of its own (network namespaces), with the same implementation on both, and
a ping every 10 ms through the tunnel. The time runs from the beginning of the command that mends it
to the first ping that is answered.

- *Addresses*: the left host has none for 20 seconds, longer than a device waits for an answer.
- *The default route* goes away and comes back ten times in three seconds, and then once more.
- *The responder* is the right host, which learns the left one's endpoint from packets. Its device
  is ended for a second; the time includes the start and configuration of the next one.
- *Another address*: the left host has none for two seconds and then another one, while only the
  right host sends. Figures of this and of the one before are in
  [decision 33](../decisions/0033-restart-is-not-silence.md), from a run of their own.
- *A session begins*: the left host gets its peer anew, over a path that loses 30 of 100 packets
  each way, that delays each by up to 500 ms, or that has IPv6 only. An initiation or a response
  that is lost costs the five seconds until the next attempt (paper, 6.1), whatever the device. With
  such a loss every second attempt fails, so its figure needs many rounds.
"""

CLOCKS = """\
The devices run side by side in a virtual machine whose processor QEMU emulates, because no network
namespace can be suspended or has a wall clock of its own. Each has a peer outside, which is ours.
Compare the columns; the figures are not those of a real machine.

- *Asleep*: suspended to memory for longer than a session lives.
- *Wall clock*: the far side has lost its session when the clock is set. A device notices after 15
  seconds without an answer. The peer accepts an initiation only with a later timestamp than the
  last (paper, 5.1), so a device whose timestamps follow the wall clock back stays out. It goes on
  trying, and is in soon after the clock is set right; one with a session has to miss it first.
"""


def page(mishaps: Report, clocks: Report) -> str:
    """Return the page with both tables."""
    return "\n".join((
        "# Mishaps: how soon a tunnel is back",
        "",
        "Seconds, medians with least and greatest.",
        "",
        "## The network",
        "",
        table(mishaps.run, None),
        "",
        UNDERLAY,
        f"{_machine(mishaps)}",
        "",
        "    python bench/mishaps.py --out docs/benchmarks/mishaps.json",
        "",
        "## The machine",
        "",
        table(clocks.run, clocks.about["limit"]),
        "",
        CLOCKS,
        f"{_machine(clocks)}",
        "",
        "    python bench/clocks.py --out docs/benchmarks/clocks.json",
        "",
        "`make mishaps` measures both, and `make report` writes this page.",
        "",
    ))  # fmt: skip


def table(run: Run, limit: float | None) -> str:
    """Return a row for each mishap; who is not back within the limit is not given a figure."""
    names = run.implementations
    lines = [f"| | {' | '.join(names)} | rounds |", "|---" * (2 + len(names)) + "|"]
    for measure, figure in run.figures():
        found = [run.summary(name, measure, figure) for name in names]
        cells = [_cell(each, limit) for each in found]
        rounds = sum(measure in one["results"] for one in run.rounds) // len(names)
        lines.append(f"| {measure} | {' | '.join(cells)} | {rounds} |")
    return "\n".join(lines)


def _cell(found: Summary | None, limit: float | None) -> str:
    if found is None:
        return "-"
    if limit is not None and found.median >= limit:
        return f"not within {limit:.0f}"
    return f"{found.median:.2g} ({found.least:.2g} to {found.greatest:.2g})"


def _machine(report: Report) -> str:
    about = report.about
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return f"{report.machine()}, {about['date']}, interleaved rounds.\n{versions}."

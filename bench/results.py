"""The results of a run: medians, their spread, ratios, and the machine.

A run consists of rounds; a round has one implementation's figures by measure. `compare`,
`configuration` and `embedded` create runs; `chart` and `report` show them. This module does not
know how a figure is measured.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import statistics
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Round = dict[str, Any]


@dataclass(frozen=True)
class Summary:
    """One figure of one implementation over all rounds."""

    median: float
    least: float
    greatest: float

    def __str__(self) -> str:
        return f"{self.median:.4g} [{self.least:.4g}-{self.greatest:.4g}]"


@dataclass(frozen=True)
class Run:
    """The results of one run; the first implementation is ours."""

    implementations: list[str]
    rounds: list[Round]

    def number(self) -> int:
        """Return how many rounds each implementation had."""
        return len(self.rounds) // len(self.implementations)

    def figures(self) -> list[tuple[str, str]]:
        """Return every measure and figure, in order."""
        seen: dict[tuple[str, str], None] = {}
        for one in self.rounds:
            for measure, found in one["results"].items():
                seen |= dict.fromkeys((measure, figure) for figure in found)
        return list(seen)

    def summary(self, implementation: str, measure: str, figure: str) -> Summary | None:
        """Return the summary of a figure, or None if it was not measured."""
        found = [
            one["results"][measure][figure]
            for one in self.rounds
            if one["device"] == implementation and figure in one["results"].get(measure, {})
        ]
        return Summary(statistics.median(found), min(found), max(found)) if found else None

    def ratio(self, other: str, measure: str, figure: str) -> float | None:
        """Return our median divided by another's, or None."""
        ours = self.summary(self.implementations[0], measure, figure)
        theirs = self.summary(other, measure, figure)
        if ours is None or theirs is None or theirs.median == 0:
            return None
        return ours.median / theirs.median

    def table(self) -> str:
        """Return a table of medians [least-greatest], and of the ratios of ours to the others'."""
        others = self.implementations[1:]
        heads = ["", *self.implementations, *(f"to {other}" for other in others)]
        lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
        for measure, figure in self.figures():
            found = [self.summary(name, measure, figure) for name in self.implementations]
            ratios = [self.ratio(other, measure, figure) for other in others]
            cells = [str(summary or "-") for summary in found]
            cells += ["-" if ratio is None else f"{ratio:.2f}" for ratio in ratios]
            lines.append(f"| {measure}: {figure} | {' | '.join(cells)} |")
        return "\n".join(lines)


@dataclass(frozen=True)
class Report:
    """A run, and its machine, date and versions."""

    run: Run
    about: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> Report:
        """Read a file that `write` wrote."""
        about = json.loads(path.read_text())
        rounds = about.pop("rounds")
        implementations = list(dict.fromkeys(one["device"] for one in rounds))
        return cls(Run(implementations, rounds), about)

    def write(self, path: Path) -> None:
        """Write one line for each round and measure, so that `git diff` is readable."""
        shown = json.dumps(self.about, indent=1).removesuffix("\n}")
        rounds = ",\n".join(_round(one) for one in self.run.rounds)
        path.write_text(f'{shown},\n "rounds": [\n{rounds}\n ]\n}}\n')

    def machine(self) -> str:
        """Describe the machine in a line."""
        return described(self.about["machine"])

    def origin(self) -> list[str]:
        """Return the lines of a page that name the command and the versions."""
        versions = self.about["versions"].items()
        return [
            f"    {self.about['command']}",
            "",
            *(f"- {name}: {version}" for name, version in versions),
        ]


def _round(one: Round) -> str:
    results = ",\n".join(
        f"    {json.dumps(measure)}: {json.dumps({k: float(f'{v:.5g}') for k, v in found.items()})}"
        for measure, found in one["results"].items()
    )
    return f'  {{"device": {json.dumps(one["device"])}, "results": {{\n{results}\n  }}}}'


def about_run(program: str, versions: dict[str, str], **more: object) -> dict[str, object]:
    """Return what a report says of a run that begins now; `program` is a file of this directory."""
    return {
        "machine": machine(),
        "date": datetime.now(UTC).date().isoformat(),
        "command": shlex.join(["python", f"bench/{program}", *sys.argv[1:]]),
        "versions": versions,
        **more,
    }


def described(known: dict[str, Any]) -> str:
    """Describe a machine in a line."""
    return f"{known['processors']} processors of {known['processor']}, Linux {known['kernel']}"


def machine() -> dict[str, Any]:
    """Return the facts of the machine that this runs on."""
    facts: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    return {
        "processor": facts.get("model name", platform.machine()),
        "processors": os.cpu_count(),
        "AVX-512 with IFMA and VBMI2": {"avx512ifma", "avx512_vbmi2"}
        <= set(facts.get("flags", "").split()),
        "kernel": platform.release(),
    }

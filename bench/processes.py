"""The resources that the processes of a host use, from /proc."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holloway.lab import Host

TICKS = os.sysconf("SC_CLK_TCK")


def for_each_process(
    host: Host, command: str, *, include: str = "*", exclude: str = "''"
) -> list[list[str]]:
    """Run a shell command for each process, whose directory in /proc is $p; return words by line.

    `include` and `exclude` are patterns of names, separated by `|`. A process may end meanwhile.
    """
    script = (
        f"for p in /proc/[0-9]*; do case $(cat $p/comm 2>/dev/null) in {exclude}) ;;"
        f" {include}) {command} 2>/dev/null;; esac; done; true"
    )
    return [line.split() for line in host.run("sh", "-c", script).stdout.splitlines()]


def cpu_seconds(host: Host, *, include: str = "*", exclude: str = "''") -> float:
    """Return the CPU seconds that the processes have used."""
    lines = for_each_process(host, "cut -d')' -f2 $p/stat", include=include, exclude=exclude)
    return sum(int(fields[11]) + int(fields[12]) for fields in lines) / TICKS

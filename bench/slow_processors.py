"""Slow processors, emulated by CPU cgroups: a thread, or a whole process, gets a share of one.

Needs the `cpu` controller of cgroup v1, which limits single threads of a process. `unavailable`
returns why there is none. The cgroups are removed with the context, also those that a killed run
left behind.
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

PERIOD_US = 10_000
"""Short, because a thread that has used its quota stands still until the period ends."""
PREFIX = "holloway-bench-"
REMOVAL_SECONDS = 30.0


def cpu_cgroup() -> Path | None:
    """Return the cgroup of this process in the hierarchy of the v1 controller, if there is one."""
    own = dict[str, str]()
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        own |= dict.fromkeys(controllers.split(","), path)
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup" and "cpu" in options.split(","):
            return Path(place) / own.get("cpu", "/").lstrip("/")
    return None


def unavailable() -> str:
    """Return why processors cannot be slowed here, or an empty text."""
    place = cpu_cgroup()
    if place is None:
        return "the cpu controller of cgroup v1 is not mounted"
    if not (place / "cpu.cfs_quota_us").parent.is_dir() or not os.access(place, os.W_OK):
        return f"no cgroup can be made in {place}"
    return ""


class SlowProcessors:
    """Processors that have `percent` of a real one's time; a context manager."""

    def __init__(self, percent: float) -> None:
        self._percent = percent
        place = cpu_cgroup()
        assert place is not None
        self._parent = place
        self._made = dict[str, Path]()

    def __enter__(self) -> Self:
        for left in self._parent.glob(f"{PREFIX}*"):
            if not Path("/proc", left.name.removeprefix(PREFIX).partition("-")[0]).exists():
                self._remove(left)
        return self

    def __exit__(self, *_: object) -> None:
        while self._made:
            self._remove(self._made.popitem()[1])

    def limit_thread(self, thread: str) -> None:
        """Run a thread on a processor of its own; no effect if it has one."""
        if thread not in self._made:
            (self._make(thread, 1) / "tasks").write_text(thread)

    def limit_process(self, process: str, processors: int) -> None:
        """Run all threads of a process on this many processors."""
        if process not in self._made:
            (self._make(process, processors) / "cgroup.procs").write_text(process)

    def _make(self, name: str, processors: int) -> Path:
        path = self._parent / f"{PREFIX}{os.getpid()}-{name}"
        path.mkdir()
        self._made[name] = path
        (path / "cpu.cfs_period_us").write_text(str(PERIOD_US))
        quota = round(PERIOD_US * self._percent / 100 * processors)
        (path / "cpu.cfs_quota_us").write_text(str(quota))
        return path

    def _remove(self, path: Path) -> None:
        """Give what is in a cgroup back to its parent, and remove it."""
        end = time.monotonic() + REMOVAL_SECONDS
        while True:
            for task in (path / "tasks").read_text().split():
                with suppress(OSError):  # it has ended
                    (self._parent / "tasks").write_text(task)
            try:
                path.rmdir()
            except OSError as error:  # a task that is ending is in it still
                if error.errno != errno.EBUSY or time.monotonic() > end:
                    raise
                time.sleep(0.05)
            else:
                return


def shard_threads(process: str) -> Iterator[str]:
    """Yield the threads of a device of ours that move packets."""
    for thread in Path("/proc", process, "task").iterdir():
        with suppress(OSError):
            if (thread / "comm").read_text().startswith("holloway-shard"):
                yield thread.name

"""The labs that run on this machine, so that a command in another terminal finds their hosts.

A lab locks its file under /run/holloway-lab. A file without a lock is left from a lab that was
killed, and is ignored.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DIRECTORY: Final = Path("/run/holloway-lab")


@dataclass(frozen=True, slots=True)
class RunningLab:
    """A lab: its topology, its own process, and the init process of each host."""

    topology: str
    pid: int
    hosts: Mapping[str, int]


class AlreadyRunning(Exception):
    """A lab of this topology runs already."""


class StateFile:
    """The file by which a lab is found."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write_hosts(self, pids: Mapping[str, int]) -> None:
        """Write the init process of each host."""
        self._file.truncate(0)
        json.dump({"pid": os.getpid(), "hosts": dict(pids)}, self._file)
        self._file.flush()


@contextmanager
def claim(topology: str) -> Iterator[StateFile]:
    """Lock the topology's file, so that it runs only once; raises AlreadyRunning."""
    DIRECTORY.mkdir(mode=0o700, exist_ok=True)
    path = DIRECTORY / topology
    with path.open("a+") as file:
        if not _lock(file):
            raise AlreadyRunning
        try:
            state_file = StateFile(file)
            state_file.write_hosts({})
            yield state_file
        finally:
            path.unlink(missing_ok=True)
            with suppress(OSError):
                DIRECTORY.rmdir()


def running_labs() -> list[RunningLab]:
    """Return the labs that run."""
    found = []
    for path in sorted(DIRECTORY.glob("*")):
        with path.open() as file:
            # A lab has locked its file a moment before it writes to it.
            if not _lock(file) and (text := file.read()):
                found.append(RunningLab(path.name, **json.loads(text)))
    return found


def _lock(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

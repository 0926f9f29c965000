"""Where wg-quick stores what it must know of an interface while that is up: /run/wg-quick/NAME.

It is gone with the next boot, as the interface is. `resolv_conf` and `saved_state` have files here.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

DIRECTORY: Final = Path("/run/wg-quick")
READABLE: Final = 0o755  # every program reads the resolv.conf in it


def directory(name: str) -> Path:
    """Return the directory of an interface, which may not exist."""
    return DIRECTORY / name


def resolv_conf(name: str) -> Path:
    """Return the private resolv.conf of an interface, which may not exist."""
    return directory(name) / "resolv.conf"


def make_directory(name: str) -> None:
    """Create an interface's directory, whatever the umask is."""
    for path in (DIRECTORY, directory(name)):
        with suppress(FileExistsError):
            path.mkdir()
            path.chmod(READABLE)


def remove_directory(name: str) -> None:
    """Remove an interface's directory, and that of all interfaces, if they are empty."""
    for path in (directory(name), DIRECTORY):
        with suppress(OSError):
            path.rmdir()


def write(path: Path, text: str, mode: int) -> None:
    """Write a file in place, whatever the umask is."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(descriptor, mode)
        file.write(text)

"""Where wg-quick keeps what it must know of an interface while that is up: /run/wg-quick/NAME.

Gone with the next boot, as the interface is. `resolv_conf` and `saved_state` keep their files here.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

DIRECTORY: Final = Path("/run/wg-quick")
READABLE: Final = 0o755  # every program reads the resolv.conf within


def directory(name: str) -> Path:
    """The directory of an interface, which may not be there."""
    return DIRECTORY / name


def make_directory(name: str) -> None:
    """Make an interface's directory, whatever the umask is."""
    for path in (DIRECTORY, directory(name)):
        with suppress(FileExistsError):
            path.mkdir()
            path.chmod(READABLE)


def remove_directory(name: str) -> None:
    """Remove an interface's directory, and that of all, if they are empty."""
    for path in (directory(name), DIRECTORY):
        with suppress(OSError):
            path.rmdir()


def write(path: Path, text: str, mode: int) -> None:
    """Write a file in its place, whatever the umask is."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(descriptor, mode)
        file.write(text)

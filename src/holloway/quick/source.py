"""The configuration file of an interface: its path, its content, and the lines of its values.

Reads the file and warns about its permissions. `check` decides what the values mean.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from holloway.errors import HollowayError
from holloway.text.quick import parse_quick

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holloway.text.quick import QuickConfig

DIRECTORY: Final = Path("/etc/wireguard")


@dataclass(frozen=True, slots=True)
class Source:
    """A configuration file that was read; `path` has its symbolic links resolved."""

    path: Path
    interface: str
    text: str
    config: QuickConfig

    @property
    def warning(self) -> str | None:
        """Upstream's warning of a file that everybody may read, in a directory that allows it."""
        mode = self.path.stat().st_mode & self.path.parent.stat().st_mode
        return f"Warning: `{self.path}' is world accessible" if mode & 0o007 else None

    def line(self, key: str, value: str) -> int | None:
        """Find the line of the file that gives `key` a value that contains `value`."""
        for number, line in enumerate(self.text.split("\n"), 1):
            name, _, rest = line.partition("#")[0].partition("=")
            values = [rest.strip(), *re.split(r"[\s,]+", rest)]
            if name.strip().lower() == key.lower() and value in values:
                return number
        return None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Exclude another `up` or `down` of the same file, which would undo what this one does."""
        import fcntl

        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise HollowayError(f"`{self.path}' is in use by another wg-quick") from None
            yield
        finally:
            os.close(descriptor)


def find(argument: str) -> str:
    """Return the path that `INTERFACE` or `CONFIG_FILE` stands for; raises HollowayError."""
    path = f"{DIRECTORY}/{argument}.conf" if _INTERFACE.fullmatch(argument) else argument
    if not os.path.exists(path):
        raise HollowayError(f"`{path}' does not exist")
    return path


def read(argument: str) -> Source:
    """Find and parse a configuration file; raises HollowayError, of which ConfigError."""
    path = find(argument)
    named = _FILE.search(path)
    if named is None:
        raise HollowayError("The config file must be a valid interface name, followed by .conf")
    # Comments and hooks may have bytes that are not UTF-8, which are kept as they are.
    text = Path(path).read_bytes().decode(errors="surrogateescape")
    return Source(Path(path).resolve(), named["interface"], text, parse_quick(text))


_INTERFACE: Final = re.compile(r"[a-zA-Z0-9_=+.-]{1,15}")
_FILE: Final = re.compile(r"(?:^|/)(?P<interface>[a-zA-Z0-9_=+.-]{1,15})\.conf\Z")

"""The CONFIG argument of `holloway run`, `shell`, `proxy` and `qr`: the file that it names.

This module reads only the file's permissions.
"""

from __future__ import annotations

import logging
import os
import re
import shlex
import stat
from pathlib import Path
from typing import Final

from holloway.quick import source

log = logging.getLogger("holloway.cli")


def find(argument: str) -> Path:
    """Return the path of a configuration file.

    `wg0` is /etc/wireguard/wg0.conf, as for wg-quick, if that exists or there is no file `wg0`.
    `laptop.conf` is a path, while wg-quick looks for /etc/wireguard/laptop.conf.conf.
    """
    named = source.DIRECTORY / f"{argument}.conf"
    is_name = _NAME.fullmatch(argument) and not argument.endswith(".conf")
    return (
        named
        if is_name and (os.path.isfile(named) or not os.path.exists(argument))
        else Path(argument)
    )


def warn_if_exposed(path: Path) -> None:
    """Log a warning if every user can read or write the file, as wg-quick prints one."""
    status = path.stat()
    mode = status.st_mode & path.resolve().parent.stat().st_mode
    if stat.S_ISREG(status.st_mode) and mode & stat.S_IRWXO:
        file = shlex.quote(str(path))
        log.warning("Warning: `%s' is world accessible; run: chmod 600 %s", path, file)


_NAME: Final = re.compile(r"[a-zA-Z0-9_=+.-]{1,15}")  # wg-quick(8)

"""An unprivileged user in a host of the lab: no capability, no other group, no files of root.

The interpreter and this repository may well be within root's home, and the TUN device root's alone,
so in that host, and only there, everybody gets access to them.
"""

from __future__ import annotations

import stat
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from holloway.lab import Host
from hosts import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

SETPRIV = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
           "--bounding-set", "-all", "--inh-caps", "-all"]  # fmt: skip

OPEN = """
set -e
mkdir -p "/run/open$1/upper" "/run/open$1/work"
mount -t overlay -o "lowerdir=$1,upperdir=/run/open$1/upper,workdir=/run/open$1/work" overlay "$1"
chmod o+x "$1"
"""
TUN = """
mount -t tmpfs none /dev/net
mknod -m 666 /dev/net/tun c 10 200
"""


def grant_access(host: Host) -> None:
    """Give everybody in this host access to the interpreter, the tests and the TUN device."""
    closed = {
        parent
        for goal in (Path(sys.executable).resolve(), Path(sys.executable), REPOSITORY / "tests")
        for parent in goal.parents
        if not parent.stat().st_mode & stat.S_IXOTH
    }
    for directory in sorted(closed):
        host.run("sh", "-c", OPEN, "open", str(directory))
    host.run("sh", "-ec", TUN)


@contextmanager
def unprivileged_host() -> Iterator[Host]:
    """A host in which everybody has that access."""
    with Host("nobody") as host:
        grant_access(host)
        yield host


def run_tests_unprivileged(host: Host, *files: Path, timeout: float = 110) -> None:
    """Run all tests of files as this user; all must pass, and none be skipped."""
    done = host.run(
        *unprivileged(
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
            "--rootdir", str(REPOSITORY), "-c", str(REPOSITORY / "pyproject.toml"),
            *map(str, files),
        ),
        check=False, timeout=timeout,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


def unprivileged(*command: str) -> list[str]:
    """Wrap a command so that it runs unprivileged."""
    return [*SETPRIV, "env", "HOME=/nonexistent", *command]

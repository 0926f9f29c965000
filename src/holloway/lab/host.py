"""Throwaway hosts on one machine: each its own network, processes, mounts and name.

A `Host` is a process that holds fresh namespaces, with an empty /run, an /etc of its own and an
empty /etc/wireguard, so that interfaces, sockets and configuration of one host are invisible to
the next and to the machine. When the holder ends, however it ends, the kernel takes all of it
away. Needs root and util-linux.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

CONFIG_DIRECTORY = Path("/etc/wireguard")

HOLD_SCRIPT = """
set -e
hostname "$1"
# A copied mount of a named namespace would disappear when its owner deletes the namespace.
cut -d " " -f 5 /proc/self/mountinfo | grep "^/run/" | sort -r | while read -r place; do
    umount --lazy "$(printf %b "$place")" 2>/dev/null || :
done
mount -t tmpfs tmpfs /run
mkdir -p /run/wireguard /run/netns /run/etc/upper /run/etc/work
mount -t overlay -o lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work overlay /etc
mkdir -p -m 700 /etc/wireguard
mount -t tmpfs -o mode=700 tmpfs /etc/wireguard
ip link set lo up
echo ready
# The first process of a host: with SIGCHLD ignored, the kernel buries the orphans it inherits.
exec env --ignore-signal=CHLD sleep infinity
"""


class Host:
    """A host of a lab; a context manager, or `start` and `stop`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._holder: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Make the namespaces; raises OSError or CalledProcessError where the system refuses."""
        self._holder = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--pid", "--uts",
             "--ipc", "--fork", "--kill-child", "--mount-proc", "sh", "-c", HOLD_SCRIPT, "hold",
             self.name],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != "ready\n":
            _, errors = self._holder.communicate()
            raise OSError(f"the namespaces of host {self.name} could not be made: {errors}")

    def stop(self) -> None:
        """End every process of the host; its interfaces and mounts go with it."""
        if self._holder is None:
            return
        # The first process inside takes all others with it; its parent then ends by itself.
        with contextlib.suppress(ProcessLookupError, FileNotFoundError, IndexError):
            os.kill(self.pid, signal.SIGKILL)
        self._holder.communicate()
        self._holder = None

    @property
    def pid(self) -> int:
        """The first process inside, as the machine numbers it."""
        assert self._holder is not None
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text()
        return int(children.split()[0])

    def argv(self, *command: str) -> list[str]:
        """Wrap a command so that it runs inside."""
        return enter(self.pid, *command)

    def run(
        self,
        *command: str,
        check: bool = True,
        stdin: str | None = None,
        timeout: float = 60,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside to its end and capture its output.

        Raises CalledProcessError (with `check`) and TimeoutExpired.
        """
        return subprocess.run(
            self.argv(*command),
            check=check, input=stdin, timeout=timeout, capture_output=True, text=True,
            env=None if environment is None else os.environ | environment,
        )  # fmt: skip

    def popen(
        self, *command: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start a command inside, its output piped."""
        return subprocess.Popen(
            self.argv(*command),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=None if environment is None else os.environ | environment,
        )  # fmt: skip

    def write(self, path: str | Path, text: str, mode: int = 0o600) -> None:
        """Write a file inside, readable by root alone unless `mode` says otherwise."""
        self.run("sh", "-c", f'umask 077; cat >"$1" && chmod {mode:o} "$1"', "write", str(path),
                 stdin=text)  # fmt: skip


def enter(pid: int, *command: str) -> list[str]:
    """Wrap a command so that it runs in the host whose first process this is."""
    return ["nsenter", "--target", str(pid), "--net", "--mount", "--pid", "--uts", "--ipc",
            "--root", "--wd", "--", *command]  # fmt: skip


def join(first: Host, second: Host, *, first_name: str = "eth0", second_name: str = "eth0") -> None:
    """Lay a cable: a veth pair with one end in each host, both up."""
    first.run("ip", "link", "add", first_name, "type", "veth",
              "peer", "name", f"{second_name}-far")  # fmt: skip
    # Moved from outside the process namespace, where `second.pid` means something.
    subprocess.run(
        ["nsenter", "--target", str(first.pid), "--net", "--",
         "ip", "link", "set", f"{second_name}-far", "netns", str(second.pid)],
        check=True, capture_output=True,
    )  # fmt: skip
    second.run("ip", "link", "set", f"{second_name}-far", "name", second_name)
    for host, name in ((first, first_name), (second, second_name)):
        host.run("ip", "link", "set", name, "up")


def missing_tools() -> list[str]:
    """Return the programs a lab needs that are not installed."""
    return [
        tool
        for tool in ("unshare", "nsenter", "setpriv", "ip", "mount")
        if shutil.which(tool) is None
    ]

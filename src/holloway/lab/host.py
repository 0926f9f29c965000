"""Throwaway hosts on one machine, each with its own network, processes, mounts and name.

A `Host` is a process that holds new namespaces, with an empty /run, a copy of /etc and an empty
/etc/wireguard. Interfaces, sockets and configuration of one host are invisible to the other hosts
and to the machine. When the process ends, however it ends, the kernel removes all of them. Needs
root and util-linux.
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
# This is the host's init process. With SIGCHLD ignored, the kernel reaps its orphans.
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
        """Make the namespaces; raises OSError if the system refuses."""
        self._holder = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--pid", "--uts",
             "--ipc", "--fork", "--kill-child", "--mount-proc", "sh", "-c", HOLD_SCRIPT, "hold",
             self.name],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._holder.stdout is not None
        try:
            if self._holder.stdout.readline() == "ready\n":
                return
        except BaseException:  # interrupted: nobody calls `stop` for a host that has not started
            self.stop()
            raise
        _, errors = self._holder.communicate()
        raise OSError(f"the namespaces of host {self.name} could not be made: {errors}")

    def stop(self) -> None:
        """End every process of the host, and so remove its interfaces and mounts."""
        if self._holder is None:
            return
        # The kernel ends all processes of the host with its init, if there is one already.
        with contextlib.suppress(ProcessLookupError, FileNotFoundError, IndexError):
            os.kill(self.pid, signal.SIGKILL)
        self._holder.kill()
        self._holder.communicate()
        self._holder = None

    @property
    def pid(self) -> int:
        """The host's init process, by its number on the machine."""
        assert self._holder is not None
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text()
        return int(children.split()[0])

    def argv(self, *command: str) -> list[str]:
        """Wrap a command so that it runs in the host."""
        return enter(self.pid, *command)

    def run(
        self,
        *command: str,
        check: bool = True,
        stdin: str | None = None,
        timeout: float = 60,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the host to its end and capture its output.

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
        """Start a command in the host, with its output in pipes."""
        return subprocess.Popen(
            self.argv(*command),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=None if environment is None else os.environ | environment,
        )  # fmt: skip

    def write(self, path: str | Path, text: str, mode: int = 0o600) -> None:
        """Write a file in the host; by default only root can read it."""
        self.run("sh", "-c", f'umask 077; cat >"$1" && chmod {mode:o} "$1"', "write", str(path),
                 stdin=text)  # fmt: skip


def enter(pid: int, *command: str) -> list[str]:
    """Wrap a command so that it runs in the host with this init process."""
    return ["nsenter", "--target", str(pid), "--net", "--mount", "--pid", "--uts", "--ipc",
            "--root", "--wd", "--", *command]  # fmt: skip


def join(first: Host, second: Host, *, first_name: str = "eth0", second_name: str = "eth0") -> None:
    """Connect two hosts by a veth pair with one end in each host, both up."""
    first.run("ip", "link", "add", first_name, "type", "veth",
              "peer", "name", f"{second_name}-far")  # fmt: skip
    # Run outside the first host's process namespace, in which `second.pid` has no meaning.
    subprocess.run(
        ["nsenter", "--target", str(first.pid), "--net", "--",
         "ip", "link", "set", f"{second_name}-far", "netns", str(second.pid)],
        check=True, capture_output=True,
    )  # fmt: skip
    second.run("ip", "link", "set", f"{second_name}-far", "name", second_name)
    for host, name in ((first, first_name), (second, second_name)):
        host.run("ip", "link", "set", name, "up")


def missing_tools() -> list[str]:
    """Return the programs that a lab needs and that are not installed."""
    return [
        tool
        for tool in ("unshare", "nsenter", "setpriv", "ip", "mount")
        if shutil.which(tool) is None
    ]

"""A machine on which a user follows a page: a host of a lab, with shells in which users type.

Holloway is installed in /opt/holloway, as in `docs/how-to/install.md`. Commands are typed as root,
or as `you`, who has no privilege except sudo.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from holloway.lab import Host, join
from hosts import REPOSITORY, WG, key_pair
from net.unprivileged import grant_access

if TYPE_CHECKING:
    from collections.abc import Iterator

HOME = "/home/you"
MARK = "-- typed --"
TIMEOUT_SECONDS = 60
# Ctrl-C ends a program as on a terminal, even if the tests run in the background.
LOG_IN = ("env", "--default-signal=INT", "su", "-")
# A lab's host has its own /etc. It shares the other directories with the real machine, so it gets
# its own of these too.
SETTLE = f"""
mount -t tmpfs -o mode=755 tmpfs /home
mount -t tmpfs -o mode=755 tmpfs /opt
mount -t tmpfs -o mode=755 tmpfs /usr/local/bin
ln -s "$1" /opt/holloway
groupadd --gid 3000 you
useradd --uid 3000 --gid 3000 --no-log-init --create-home --shell /bin/bash you
echo 'you ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/you
echo "127.0.1.1 $(hostname)" >>/etc/hosts
ln -s "$2" {HOME}/holloway
"""


class Shell:
    """A login shell of a user; variables and the directory persist from block to block."""

    def __init__(self, host: Host, user: str) -> None:
        self._shell = subprocess.Popen(
            host.argv(*LOG_IN, user),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=os.environ | {"TERM": "xterm"},
        )  # fmt: skip

    def type(self, block: str) -> str:
        """Type a block, and return what it prints. Every command of it must succeed."""
        # The programs of the block must not read what is typed next.
        return self._typed(f"{{\n{block}\n}} </dev/null")

    def enter(self, block: str) -> None:
        """Type a block that starts another shell, which reads what is typed after it."""
        self._typed(block)

    def _typed(self, text: str) -> str:
        assert self._shell.stdin is not None
        self._shell.stdin.write(f"set -e\n{text}\nset +e\necho '{MARK}'\n".encode())
        self._shell.stdin.flush()
        printed = ""
        while not printed.endswith(f"{MARK}\n"):
            more = read_on(self._shell)
            assert more, f"{text}\nfailed, or still runs:\n{printed}"
            printed += more
        return printed.removesuffix(f"{MARK}\n")

    def close(self) -> None:
        """Wait for the shell to end, after its host has ended."""
        self._shell.communicate()


class Running:
    """A block that runs until it is stopped: a server, or a log that is followed."""

    def __init__(self, host: Host, user: str, block: str) -> None:
        self._host = host
        self._program = subprocess.Popen(
            host.argv(*LOG_IN, user, "-c", f"echo $$; {_replacing(block)}"),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self._printed = ""
        self._number = self.wait_for("\n").partition("\n")[0]

    def wait_for(self, word: str) -> str:
        """Read until the output contains a word, and return all output so far."""
        while word not in self._printed:
            more = read_on(self._program)
            assert more, f"{word!r} is not in what it printed:\n{self._printed}"
            self._printed += more
        return self._printed

    def stop(self) -> str:
        """End the block as Ctrl-C does, and return the rest of its output."""
        self._host.run("kill", "-INT", self._number, check=False)
        return self._program.communicate(timeout=TIMEOUT_SECONDS)[0].decode()

    def close(self) -> None:
        """Wait for the block to end, after its host has ended."""
        self._program.communicate()


def read_on(program: subprocess.Popen[bytes]) -> str:
    """Return what a program prints next; empty if it ends or prints nothing for a long time."""
    assert program.stdout is not None
    ready, _, _ = select.select([program.stdout], [], [], TIMEOUT_SECONDS)
    return os.read(program.stdout.fileno(), 65536).decode() if ready else ""


def _replacing(block: str) -> str:
    """Replace the shell with the last command of a block, so that signals reach it."""
    *before, last = block.rstrip("\n").split("\n")
    return "\n".join((*before, f"exec {last}"))


class Users:
    """The users of a host, and what they have started; `close` it after the host has ended."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._started: list[Shell | Running] = []

    def shell(self, user: str = "you") -> Shell:
        """Open a shell."""
        self._started.append(shell := Shell(self._host, user))
        return shell

    def serve(self, block: str, *, until: str, user: str = "you") -> Running:
        """Run a block that runs until it is stopped; return when it has printed a word."""
        self._started.append(running := Running(self._host, user, block))
        running.wait_for(until)
        return running

    def close(self) -> None:
        for started in self._started:
            started.close()


class Machine(Host):
    """A host of a lab with users and Holloway; a context manager."""

    def __init__(self, name: str, *, installed: bool = True) -> None:
        super().__init__(name)
        self._installed = installed
        self._users = Users(self)
        self.shell, self.serve = self._users.shell, self._users.serve

    def __enter__(self) -> Self:
        super().__enter__()
        grant_access(self)
        furnish(self, installed=self._installed)
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._users.close()

    def named(self, name: str, address: str) -> None:
        """Add a name and its address to /etc/hosts."""
        self.run("sh", "-c", 'echo "$1 $2" >>/etc/hosts', "name", address, name)

    def has(self, program: Path) -> None:
        """Install one more program."""
        self.run("ln", "-s", str(program), "/usr/local/bin/")


def furnish(host: Host, *, installed: bool = True) -> None:
    """Give a host a user, sudo, and Holloway where the installation page puts it."""
    host.run("sh", "-ec", SETTLE, "settle", str(Path(sys.executable).parent.parent),
             str(REPOSITORY))  # fmt: skip
    if installed:
        commands = "/opt/holloway/bin/{holloway,holloway-device,wg,wg-quick}"
        host.run("bash", "-c", f"ln -s {commands} /usr/local/bin/")


@contextmanager
def two_machines(first: str, second: str) -> Iterator[tuple[Machine, Machine]]:
    """Start two machines on one network, 203.0.113.1 and 203.0.113.2."""
    with Machine(first) as one, Machine(second) as other:
        join(one, other)
        for number, host in enumerate((one, other), 1):
            host.run("ip", "address", "add", f"203.0.113.{number}/24", "dev", "eth0")
        yield one, other


@contextmanager
def tunnel(near: str = "router", far: str = "laptop") -> Iterator[tuple[Machine, Machine]]:
    """Start two machines with files for a tunnel wg0: 10.10.11.1 near, 10.10.11.2 far."""
    with two_machines(near, far) as machines:
        keys = [key_pair(machine, WG["holloway"]) for machine in machines]
        for number, machine in enumerate(machines):
            other = 1 - number
            machine.write(
                "/etc/wireguard/wg0.conf",
                f"[Interface]\nPrivateKey = {keys[number].private}\nListenPort = 51000\n"
                f"Address = 10.10.11.{number + 1}/24\n\n[Peer]\nPublicKey = {keys[other].public}\n"
                f"AllowedIPs = 10.10.11.{other + 1}/32\nEndpoint = 203.0.113.{other + 1}:51000\n",
            )
        yield machines

"""`holloway run` on a terminal: Ctrl-C, Ctrl-Z, pipelines and shells, as a person types them.

Nothing here needs root; `test_run_unprivileged` runs these again as a user without any rights.
"""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from net.run_pair import HOLLOWAY, write_files

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = shlex.join(HOLLOWAY)


class Terminal:
    """A terminal with a shell on it; it remembers how far it has been read."""

    def __init__(self, directory: Path) -> None:
        self._parent, child = pty.openpty()
        environment = {**os.environ, "PS1": "at your service$ ", "SHELL": "/bin/bash"}
        self._shell = subprocess.Popen(
            ["setsid", "--ctty", "bash", "--norc", "--noediting", "-i"], cwd=directory,
            env=environment, stdin=child, stdout=child, stderr=child,
        )  # fmt: skip
        os.close(child)
        self._rest = ""
        self.expect("at your service")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._shell.kill()
        self._shell.wait()
        os.close(self._parent)

    def type(self, text: str) -> None:
        os.write(self._parent, text.encode())

    def expect(self, pattern: str, seconds: float = 20) -> re.Match[str]:
        """Read until the pattern is there, and forget what came up to its end."""
        until = time.monotonic() + seconds
        while not (found := re.search(pattern, self._rest)):
            left = until - time.monotonic()
            if left < 0 or not select.select([self._parent], [], [], left)[0]:
                raise AssertionError(f"no {pattern!r} in {self._rest!r}")
            self._rest += os.read(self._parent, 4096).decode().replace("\r", "")
        self._rest = self._rest[found.end() :]
        return found


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    write_files(tmp_path)
    with Terminal(tmp_path) as made:
        yield made


def test_ctrl_c_ends_the_program_and_the_loop_around_it(terminal: Terminal) -> None:
    # Not a shell: the signal may meet it between fork and exec, where dash drops it.
    turn = "import sys; print('turn' + sys.argv[1], flush=True); sys.stdin.read()"
    run = f"{COMMAND} run -q laptop.conf -- python3 -c {shlex.quote(turn)}"
    terminal.type(f"for i in 1 2 3; do {run} $i; done\n")
    terminal.expect("^turn1$|\nturn1\n")
    terminal.type("\x03")
    terminal.expect("at your service")
    terminal.type("echo status $?\n")
    terminal.expect("\nstatus 130\n")


def test_a_program_that_catches_ctrl_c_gets_it_once(terminal: Terminal) -> None:
    script = (
        "import signal, sys, time; caught = []; signal.signal(2, lambda *_: caught.append(1)); "
        "print('rea' + 'dy', flush=True); sys.stdin.readline(); print('caught', len(caught))"
    )
    terminal.type(f"{COMMAND} run -q laptop.conf -- python3 -c {shlex.quote(script)}\n")
    terminal.expect("\nready\n")
    terminal.type("\x03")
    terminal.type("\n")
    terminal.expect("caught 1\n")


def test_ctrl_z_stops_the_job_and_fg_continues_it(terminal: Terminal) -> None:
    terminal.type(f"{COMMAND} run -q laptop.conf -- cat\n")
    terminal.type("one\n")
    terminal.expect("\none\n(.|\n)*one\n")
    terminal.type("\x1a")
    terminal.expect("Stopped .* run -q laptop.conf -- cat\n")
    terminal.type("fg\n")
    terminal.expect("run -q laptop.conf -- cat\n")
    terminal.type("two\n")
    terminal.expect("two\ntwo\n")
    terminal.type("\x04")
    terminal.expect("at your service")
    terminal.type("echo status $?\n")
    terminal.expect("\nstatus 0\n")


def test_a_pipeline_keeps_its_terminal(terminal: Terminal) -> None:
    ask = "'echo as''king; read x </dev/tty; echo got $x'"
    terminal.type(
        f"{COMMAND} run -q laptop.conf -- sh -c {ask} | {{ cat; read y </dev/tty; echo and $y; }}\n"
    )
    terminal.expect("\nasking\n")
    terminal.type("this\n")
    terminal.expect("\ngot this\n")
    terminal.type("that\n")
    terminal.expect("\nand that\n")


def test_a_shell_inside_has_job_control_and_can_be_left(terminal: Terminal) -> None:
    terminal.type(f"{COMMAND} shell laptop.conf\n")
    terminal.expect(r"holloway shell: inside laptop .*; leave with `exit' or Ctrl-D\n")
    terminal.type("PS1='in$HOLLOWAY_NETWORK '\n")
    terminal.expect("\n(.*)inlaptop ")
    terminal.type("sh -c 'echo lis''tening; exec cat'\n")
    terminal.expect("\n(.*)listening\n")
    terminal.type("\x1a")
    terminal.expect("Stopped .*exec cat'\n")
    terminal.type("fg\n")
    terminal.expect("exec cat'\n")
    terminal.type("over\n")
    terminal.expect("over\nover\n")
    terminal.type("\x04")
    terminal.expect("inlaptop ")
    terminal.type("suspend\n")
    terminal.expect("Stopped .*shell laptop.conf\n")
    terminal.expect("at your service")
    terminal.type("fg\n")
    terminal.expect("shell laptop.conf\n")
    terminal.type("\n")
    terminal.expect("inlaptop ")
    terminal.type("exit 4\n")
    terminal.expect("at your service")
    terminal.type("echo status $?\n")
    terminal.expect("\nstatus 4\n")

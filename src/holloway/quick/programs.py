"""The programs that wg-quick runs: the user's hooks, a device in user space, nft and resolvconf.

They share our terminal and our standard streams. When a signal ends the wait for one, it is
stopped together with all that it started. What is run and why is decided elsewhere.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from holloway.errors import HollowayError
from holloway.quick.interrupts import Interrupted, Interrupts

STOP_SECONDS: Final = 5.0  # how long a program may take to end when asked


class ProgramFailed(HollowayError):
    """A program ended with another exit code than 0."""


def run_hook(hook: str, interface: str, interrupts: Interrupts) -> None:
    """Let bash evaluate a hook in a subshell, with the shell options of upstream's script.

    The text goes through a pipe: arguments are world-readable, and a hook may hold a secret.
    """
    read, write = os.pipe()
    try:
        script = _HOOK_SCRIPT.format(descriptor=read)
        shell = ["bash", "-e", "-o", "pipefail", "-O", "extglob", "-c", script]
        process = _start([*shell, "wg-quick", interface], descriptors=(read,))
    finally:
        os.close(read)
        with os.fdopen(write, "wb") as pipe, suppress(BrokenPipeError):
            pipe.write(hook.encode(errors="surrogateescape"))
            pipe.flush()
    _finish(process, "hook", interrupts)


def run_program(command: Sequence[str], interrupts: Interrupts, stdin: str | None = None) -> None:
    """Run a program to its end, with a text to read if one is given; raises ProgramFailed."""
    with _memory_file(stdin) as descriptor:
        _finish(_start(command, stdin=descriptor), command[0], interrupts)


def output(command: Sequence[str]) -> str:
    """Ask a program that changes nothing and does not wait; empty if it fails."""
    try:
        done = subprocess.run(command, env=environment(), capture_output=True, check=False)
    except OSError:
        return ""
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""


def find_program(name: str) -> str | None:
    """Look a program up where `run_program` would find it."""
    return shutil.which(name, path=environment()["PATH"])


def environment() -> dict[str, str]:
    """What programs see: the C locale, and first the directory that wg-quick itself is in.

    So a hook's `wg` is the one that was installed with this wg-quick, as upstream has it.
    """
    own = Path(sys.argv[0]).resolve().parent
    path = os.environ.get("PATH", os.defpath)
    if (own / "wg").is_file():
        path = f"{own}:{path}"
    return {**os.environ, "LC_ALL": "C", "PATH": path}


@contextmanager
def _memory_file(text: str | None) -> Iterator[int | None]:
    """A descriptor to read `text` from: of a memory file, which never blocks its writer."""
    if text is None:
        yield None
        return
    with open(os.memfd_create("wg-quick"), "wb+") as file:
        file.write(text.encode(errors="surrogateescape"))
        file.seek(0)
        yield file.fileno()


def _start(
    command: Sequence[str], descriptors: Sequence[int] = (), stdin: int | None = None
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdin=stdin, pass_fds=tuple(descriptors), env=environment())


def _finish(process: subprocess.Popen[bytes], name: str, interrupts: Interrupts) -> None:
    try:
        with interrupts.interruptible():
            code = process.wait()
    except Interrupted:
        _stop(process)
        raise
    if code < 0:
        raise ProgramFailed(f"{name} ended by {signal.Signals(-code).name}")
    if code > 0:
        raise ProgramFailed(f"{name} ended with exit code {code}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a program and its descendants: ask, wait, then insist."""
    with ExitStack() as stack:
        processes = []
        for member in [process.pid, *_descendants(process.pid)]:
            with suppress(ProcessLookupError):
                processes.append(os.pidfd_open(member))
                stack.callback(os.close, processes[-1])
        _signal(processes, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for member in processes:
            select.select([member], [], [], max(0.0, deadline - time.monotonic()))
        _signal(processes, signal.SIGKILL)
    process.wait()


def _signal(processes: Sequence[int], number: signal.Signals) -> None:
    for member in processes:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(member, number)


def _descendants(process: int) -> list[int]:
    """Children, their children and so on; those that were left to init are not among them."""
    found: list[int] = []
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return found
    for child in map(int, children):
        found += [child, *_descendants(child)]
    return found


_HOOK_SCRIPT: Final = """\
INTERFACE=$1
hook=$(</dev/fd/{descriptor})
exec {descriptor}<&-
(eval "$hook")
"""

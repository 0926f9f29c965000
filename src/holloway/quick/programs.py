"""The programs that wg-quick runs: the user's hooks, a device in user space, nft and resolvconf.

They share our terminal and our standard streams. When a signal ends the wait for one, it is
stopped together with all processes that it started. The steps decide what is run.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from holloway.errors import HollowayError
from holloway.quick.interrupts import Interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holloway.quick.interrupts import Interrupts

STANDARD_ERROR: Final = 2
STOP_SECONDS: Final = 5.0  # from SIGTERM to SIGKILL


class ProgramFailed(HollowayError):
    """A program ended with an exit code other than 0."""


def run_hook(hook: str, interface: str, interrupts: Interrupts) -> None:
    """Have bash evaluate a hook in a subshell, with the shell options of upstream's script.

    The text goes through a pipe: arguments are world-readable, and a hook may contain a secret.
    """
    read, write = os.pipe()
    try:
        script = _HOOK_SCRIPT.format(descriptor=read)
        shell = ["bash", "-e", "-o", "pipefail", "-O", "extglob", "-c", script]
        process = _start([*shell, "wg-quick", interface], read)
    finally:
        os.close(read)
        with os.fdopen(write, "wb") as pipe, suppress(BrokenPipeError):
            pipe.write(hook.encode(errors="surrogateescape"))
            pipe.flush()
    _finish(process, "hook", interrupts)


def run_program(command: Sequence[str], interrupts: Interrupts, stdin: str | None = None) -> None:
    """Run a program to its end, with a text as its input if one is given; raises ProgramFailed."""
    with _memory_file(stdin) as descriptor:
        _finish(_start(command, stdin=descriptor), command[0], interrupts)


def output(command: Sequence[str]) -> str:
    """Return the output of a program that changes nothing and does not wait; empty if it fails."""
    import subprocess

    try:
        done = subprocess.run(command, env=environment(), capture_output=True, check=False)
    except OSError:
        return ""
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""


def find_program(name: str) -> str | None:
    """Look a program up where `run_program` would find it."""
    directories = [""] if "/" in name else environment()["PATH"].split(os.pathsep)
    paths = (os.path.join(directory, name) for directory in directories)
    return next((each for each in paths if os.path.isfile(each) and os.access(each, os.X_OK)), None)


def environment() -> dict[str, str]:
    """Return the environment of programs: the C locale, and wg-quick's own directory first in PATH.

    So a hook's `wg` is the one that was installed with this wg-quick, as with upstream's.
    """
    own = Path(sys.argv[0]).resolve().parent
    path = os.environ.get("PATH", os.defpath)
    if (own / "wg").is_file():
        path = f"{own}:{path}"
    return {**os.environ, "LC_ALL": "C", "PATH": path}


@contextmanager
def _memory_file(text: str | None) -> Iterator[int | None]:
    """Yield a descriptor to read `text` from: of a memory file, which never blocks its writer."""
    if text is None:
        yield None
        return
    with open(os.memfd_create("wg-quick"), "wb+") as file:
        file.write(text.encode(errors="surrogateescape"))
        file.seek(0)
        yield file.fileno()


def _start(command: Sequence[str], descriptor: int = 0, stdin: int | None = None) -> int:
    """Start a program, with a descriptor besides the standard ones; returns its process number."""
    program = find_program(command[0])
    if program is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), command[0])
    _set_inheritable(descriptor)
    # Not `subprocess`, which with all that it imports takes as long to load as the rest of this.
    return os.posix_spawn(
        program,
        list(command),
        environment(),
        file_actions=[] if stdin is None else [(os.POSIX_SPAWN_DUP2, stdin, 0)],
        setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],  # Python ignores them
    )


def _set_inheritable(descriptor: int) -> None:
    """Have a program inherit only this and the standard descriptors, not those of our caller."""
    for each in map(int, os.listdir("/proc/self/fd")):
        with suppress(OSError):  # the one that lists the directory is closed by now
            os.set_inheritable(each, each <= STANDARD_ERROR or each == descriptor)


def _finish(process: int, name: str, interrupts: Interrupts) -> None:
    try:
        with interrupts.interruptible():
            code = _wait(process)
    except Interrupted:
        _stop(process)
        raise
    if code < 0:
        raise ProgramFailed(f"{name} ended by {signal.Signals(-code).name}")
    if code > 0:
        raise ProgramFailed(f"{name} ended with exit code {code}")


def _wait(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def _stop(process: int) -> None:
    """Terminate a program and its descendants; after a timeout, kill them."""
    import select
    import time

    with ExitStack() as stack:
        processes = []
        for member in [process, *_descendants(process)]:
            with suppress(ProcessLookupError):
                processes.append(os.pidfd_open(member))
                stack.callback(os.close, processes[-1])
        _signal(processes, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for member in processes:
            select.select([member], [], [], max(0.0, deadline - time.monotonic()))
        _signal(processes, signal.SIGKILL)
    with suppress(ChildProcessError):
        _wait(process)


def _signal(processes: Sequence[int], number: signal.Signals) -> None:
    for member in processes:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(member, number)


def _descendants(process: int) -> list[int]:
    """List the children, their children and so on, without those that were reparented to init."""
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

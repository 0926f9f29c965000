"""A child process that acts for this one: it gets our signals, and we stop and end when it does.

Both are in one process group, so that a pipeline keeps its terminal. The kernel sends the
terminal's signals to both; we pass on only signals that other processes send to us. `cli.run` uses
this module.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Signals:
    """The signals to this process, with their senders. Create it before any other thread."""

    def __init__(self) -> None:
        self.inherited = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)

    def watch(self, receive: Callable[[signal.struct_siginfo], None]) -> None:
        """Call `receive` in this event loop for each signal."""
        loop = asyncio.get_running_loop()

        def wait() -> None:
            # The loop may be closed already; then signals no longer matter.
            with contextlib.suppress(RuntimeError):
                while True:
                    loop.call_soon_threadsafe(receive, signal.sigwaitinfo(WATCHED))

        threading.Thread(target=wait, name="signals", daemon=True).start()


class Job:
    """The child, or a request to end before it starts. Create it in the event loop."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals
        self._child = 0
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._is_interrupted = False
        signals.watch(self._receive)

    @property
    def termination_requested(self) -> asyncio.Future[int]:
        """A future of the signal's number, done if a signal arrives before the child starts."""
        return self._ended

    def end_as_requested(self) -> NoReturn:
        """End this process with the signal that requested it."""
        _kill_self(signal.Signals(self._ended.result()))

    async def run(
        self, command: Sequence[str], environment: Mapping[str, str], inherited: Sequence[int]
    ) -> int:
        """Start the child, wait, and return its wait status.

        The child inherits the descriptors in `inherited`, which are closed here.
        """
        if self._ended.done():
            self.end_as_requested()
        self._start(command, environment, inherited)
        return await self._ended

    def _start(
        self, command: Sequence[str], environment: Mapping[str, str], inherited: Sequence[int]
    ) -> None:
        # Not `subprocess`, which would close the descriptors that a shell opens for <(...).
        for descriptor in inherited:
            os.set_inheritable(descriptor, True)
        try:
            self._child = os.posix_spawn(
                command[0], list(command), environment,
                setsigmask=self._signals.inherited, setsigdef=IGNORED_BY_PYTHON,
            )  # fmt: skip
        finally:
            for descriptor in inherited:
                os.close(descriptor)

    def exit_status(self, status: int) -> int:
        """Return the exit status that a shell reports for a wait status.

        If Ctrl-C ended the child, this does not return: this process ends by SIGINT too, because a
        shell stops a script only if it sees that.
        """
        if self._is_interrupted and os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGINT:
            _kill_self(signal.SIGINT)
        return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)

    def _receive(self, info: signal.struct_siginfo) -> None:
        number = signal.Signals(info.si_signo)
        if number == signal.SIGCHLD:
            self._check_child()
        elif not self._child:
            self._receive_alone(number)
        elif info.si_code > SI_USER:  # sent by the kernel, which means by the terminal
            self._is_interrupted |= number == signal.SIGINT
        elif info.si_pid != self._child:
            self._send(number)

    def _receive_alone(self, number: signal.Signals) -> None:
        if number in STOPS:
            os.kill(os.getpid(), signal.SIGSTOP)
        elif number in ENDS and not self._ended.done():
            self._ended.set_result(int(number))

    def _check_child(self) -> None:
        """Check whether the child has stopped or ended. If it has stopped, stop too."""
        while self._child and not self._ended.done():
            found, status = os.waitpid(self._child, os.WNOHANG | os.WUNTRACED)
            if not found:
                return
            if os.WIFSTOPPED(status):
                os.kill(os.getpid(), signal.SIGSTOP)
                self._send(signal.SIGCONT)  # we have been continued
            else:
                self._ended.set_result(status)

    def _send(self, number: signal.Signals) -> None:
        if not self._ended.done():  # not reaped yet, so no other process has its PID
            os.kill(self._child, number)


def _kill_self(number: signal.Signals) -> NoReturn:
    signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    raise AssertionError("unreachable: this process has ended")


STOPS: Final = frozenset({signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})
ENDS: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT})
WATCHED: Final = STOPS | ENDS | {signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT, signal.SIGCHLD}
IGNORED_BY_PYTHON: Final = (signal.SIGPIPE, signal.SIGXFSZ)
SI_USER: Final = 0  # asm-generic/siginfo.h; SI_QUEUE and the like are below

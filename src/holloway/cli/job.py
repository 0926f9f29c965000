"""A child that stands for this process: it gets the signals, we stop with it and end as it does.

Both are in one process group, so that a pipeline keeps its terminal: what the terminal sends, the
child has already, and only what others send to us is passed on. Used by `cli.run`.
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
    """What is sent to this process and by whom. Make it before any other thread.

    Until there is a child, `end` is called with a signal that asks us to end.
    """

    def __init__(self) -> None:
        self.inherited = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)

    def watch(self, receive: Callable[[signal.struct_siginfo], None]) -> None:
        """Have each signal received in this event loop."""
        loop = asyncio.get_running_loop()

        def wait() -> None:
            # The loop may be closed, when nothing is of interest any more.
            with contextlib.suppress(RuntimeError):
                while True:
                    loop.call_soon_threadsafe(receive, signal.sigwaitinfo(WATCHED))

        threading.Thread(target=wait, name="signals", daemon=True).start()


class Job:
    """The child, and before there is one, the wish to end. Make it inside the event loop."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals
        self._child = 0
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._is_interrupted = False
        signals.watch(self._receive)

    @property
    def termination_requested(self) -> asyncio.Future[int]:
        """Done, with the signal's number, when we are to end before there is a child."""
        return self._ended

    def end_as_requested(self) -> NoReturn:
        """End by the signal that asked for it."""
        _kill_self(signal.Signals(self._ended.result()))

    async def run(
        self, command: Sequence[str], environment: Mapping[str, str], inherited: int
    ) -> int:
        """Start the child with one more descriptor, and wait; returns its wait status."""
        if self._ended.done():
            self.end_as_requested()
        self._start(command, environment, inherited)
        return await self._ended

    def _start(
        self, command: Sequence[str], environment: Mapping[str, str], inherited: int
    ) -> None:
        # Not `subprocess`, which would close what a shell's <(...) has opened for the program.
        os.set_inheritable(inherited, True)
        try:
            self._child = os.posix_spawn(
                command[0], list(command), environment,
                setsigmask=self._signals.inherited, setsigdef=IGNORED_BY_PYTHON,
            )  # fmt: skip
        finally:
            os.close(inherited)

    def exit_status(self, status: int) -> int:
        """What a shell makes of a wait status; does not return if Ctrl-C ended the child.

        Then we end by the same signal, for a shell goes on with a script unless it sees that.
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
        elif info.si_code > SI_USER:  # by the kernel, that is by the terminal
            self._is_interrupted |= number == signal.SIGINT
        elif info.si_pid != self._child:
            self._send(number)

    def _receive_alone(self, number: signal.Signals) -> None:
        if number in STOPS:
            os.kill(os.getpid(), signal.SIGSTOP)
        elif number in ENDS and not self._ended.done():
            self._ended.set_result(int(number))

    def _check_child(self) -> None:
        """See what became of the child. Its being stopped stops us, and so the whole job."""
        while self._child and not self._ended.done():
            found, status = os.waitpid(self._child, os.WNOHANG | os.WUNTRACED)
            if not found:
                return
            if os.WIFSTOPPED(status):
                os.kill(os.getpid(), signal.SIGSTOP)
                self._send(signal.SIGCONT)  # we go on: somebody has continued us
            else:
                self._ended.set_result(status)

    def _send(self, number: signal.Signals) -> None:
        if not self._ended.done():  # it is not waited for yet, so the number is still its
            os.kill(self._child, number)


def _kill_self(number: signal.Signals) -> NoReturn:
    signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    raise AssertionError("it is this process that was killed")


STOPS: Final = frozenset({signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})
ENDS: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT})
WATCHED: Final = STOPS | ENDS | {signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT, signal.SIGCHLD}
IGNORED_BY_PYTHON: Final = (signal.SIGPIPE, signal.SIGXFSZ)
SI_USER: Final = 0  # asm-generic/siginfo.h; SI_QUEUE and the like are below

"""`wg show --watch`: a screen that is redrawn each second, until q or Ctrl-C.

Each frame is one write that overwrites the previous frame in place, so that nothing flickers. The
terminal is restored however the watch ends.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from holloway.cli.wg.report import fail

INTERVAL: Final = 1.0  # seconds
HEIGHT: Final = 24  # lines, if the terminal does not report them
QUIT: Final = frozenset(b"qQ\x03\x04")  # Ctrl-C and Ctrl-D if the terminal sends them as characters


def watch(frame: Callable[[], str], title: str) -> int:
    """Draw what `frame` returns until the user quits; returns the exit status."""
    if not sys.stdout.isatty():
        return fail("--watch needs a terminal to draw on")
    try:
        with _alternate_screen(), _raw_keys():
            _draw_until_quit(frame, title)
    except KeyboardInterrupt:
        pass  # the usual way to quit
    return 0


def _draw_until_quit(frame: Callable[[], str], title: str) -> None:
    due = time.monotonic()
    gc.enable()
    while True:
        height = os.get_terminal_size(sys.stdout.fileno()).lines or HEIGHT
        heading = f"{title}   {time.strftime('%H:%M:%S')}   q quits"
        _write(screenful(f"{heading}\n\n{frame()}", height))
        due = max(due + INTERVAL, time.monotonic())
        while (left := due - time.monotonic()) > 0:
            if _quit_within(left):
                return


def screenful(text: str, height: int) -> str:
    """Return a frame that overwrites the previous one, line by line, and blanks the rest."""
    lines = text.rstrip("\n").split("\n")
    if len(lines) > height:
        hidden = len(lines) - height + 1
        lines[height - 1 :] = [f"... {hidden} more lines"]
    drawn = "\r\n".join(f"{_BLANK_RIGHT}{line}{_RESET}" for line in lines)
    return f"{_BEGIN_UPDATE}{_HOME}{drawn}{_BLANK_BELOW}{_END_UPDATE}"


def _quit_within(seconds: float) -> bool:
    """Wait for a key; return whether it is one that quits."""
    if not sys.stdin.isatty():
        time.sleep(seconds)
        return False
    ready, _, _ = select.select([sys.stdin.fileno()], [], [], seconds)
    if not ready:
        return False
    typed = os.read(sys.stdin.fileno(), 64)
    return not typed or not QUIT.isdisjoint(typed)


@contextmanager
def _alternate_screen() -> Iterator[None]:
    """Use the terminal's alternate screen, without a cursor and without line wrapping."""
    # An ignored signal stays ignored, as under nohup(1).
    caught = [each for each in _ENDING if signal.getsignal(each) is not signal.SIG_IGN]
    before = {number: signal.signal(number, _interrupt) for number in caught}
    _write("\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J")
    try:
        yield
    finally:
        _write("\x1b[?7h\x1b[?25h\x1b[?1049l")
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _raw_keys() -> Iterator[None]:
    """Read keys unbuffered and without echo; Ctrl-Z is off: the shell would use our screen."""
    if not sys.stdin.isatty():
        yield
        return
    found = termios.tcgetattr(sys.stdin)
    settings = termios.tcgetattr(sys.stdin)
    settings[_LOCAL_MODES] &= ~(termios.ICANON | termios.ECHO)
    settings[_CHARACTERS][termios.VSUSP] = b"\0"
    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, settings)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, found)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """End the watch. A second signal is ignored, so that it does not stop the clean-up.

    Two come when Ctrl-C ends the session leader too: the kernel then sends SIGHUP to the others.
    """
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Terminals that know these two show the frame once it is complete.
_BEGIN_UPDATE: Final = "\x1b[?2026h"
_END_UPDATE: Final = "\x1b[?2026l"
_HOME: Final = "\x1b[H"
_RESET: Final = "\x1b[0m"
_BLANK_RIGHT: Final = "\x1b[K"
_BLANK_BELOW: Final = "\x1b[J"
_LOCAL_MODES: Final = 3  # indices in what tcgetattr returns
_CHARACTERS: Final = 6

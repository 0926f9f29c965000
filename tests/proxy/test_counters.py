"""The live counters of `holloway proxy`, as a terminal gets them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
from typing import TYPE_CHECKING

import pytest

from net.pair import FIRST
from proxy.remote_peer import PAGE, remote_peer
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from proxy.remote_peer import RemotePeer

COMMAND = re.compile(rb"\x1b\[[?\d;]*[A-Za-z]")
HIDE_CURSOR, SHOW_CURSOR = b"\x1b[?25l", b"\x1b[?25h"


class Terminal:
    """A terminal that shows what a proxy says."""

    def __init__(self) -> None:
        self.parent, self.child = os.openpty()
        os.set_blocking(self.parent, False)
        self.shown = b""

    async def start(self, remote: RemotePeer, **environment: str) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "holloway", "proxy", str(remote.config), "--http", "0",
            stdin=asyncio.subprocess.DEVNULL, stderr=self.child,
            env=os.environ | {"TERM": "xterm", "COLUMNS": "99"} | environment,
        )  # fmt: skip
        os.close(self.child)
        return process

    async def until(self, text: bytes, count: int = 1) -> None:
        """Wait until it has shown this."""

        def shows() -> bool:
            with contextlib.suppress(OSError):
                self.shown += os.read(self.parent, 1 << 16)
            return self.shown.count(text) >= count

        assert await wait_until(shows), self.shown

    async def fetch_a_page(self, remote: RemotePeer) -> None:
        """Go through the proxy once."""
        web = self.shown.partition(b"HTTP proxy on ")[2].split()[0].decode()
        fetched = await remote.command("curl", "-sS", "--proxy", web, f"http://{FIRST[0]}/")
        assert fetched == (0, PAGE, "")


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    os.close(terminal.parent)


def test_in_a_terminal_the_counters_stay_below_the_log(tmp_path: Path, terminal: Terminal) -> None:
    async def run() -> None:
        async with remote_peer(tmp_path) as remote:
            process = await terminal.start(remote)
            await terminal.until(b"0 open, 0 done, 0 failed")
            await terminal.fetch_a_page(remote)
            await terminal.until(b"0 open, 1 done, 0 failed")
            *_, sums = COMMAND.sub(b"", terminal.shown).partition(b"0 open, 1 done")[0].splitlines()
            assert re.fullmatch(rb" *[1-9]\d* B +\d+ B +[1-9]\d* B +\d+ B +", sums), sums
            # The line of the log takes the place of the counters.
            log = terminal.shown.partition(b": done, ")[0].rpartition(b"\x1b[2K")[2]
            assert log[8:].startswith(b" http 127.0.0.1:")
            process.terminate()
            assert await process.wait() == 0
            await terminal.until(SHOW_CURSOR, 2)
            assert terminal.shown.endswith(b"\x1b[2K")

    asyncio.run(run())


@pytest.mark.parametrize("columns", ["24", "70", "90", "200"])
def test_the_counters_fit_and_have_no_colour(
    tmp_path: Path, terminal: Terminal, columns: str
) -> None:
    async def run() -> None:
        async with remote_peer(tmp_path) as remote:
            process = await terminal.start(remote, COLUMNS=columns, NO_COLOR="1")
            await terminal.until(b"\x1b[1A", 2)
            process.terminate()
            await terminal.until(SHOW_CURSOR, 2)
            assert await process.wait() == 0
        _, drawn, _ = terminal.shown.split(SHOW_CURSOR)
        lines = COMMAND.sub(b"", drawn).splitlines()
        assert len(lines) > 2
        assert all(len(line.decode()) < int(columns) for line in lines), lines
        assert set(re.findall(rb"\x1b\[([\d;]*)m", drawn)) <= {b"0", b"1", b"7"}

    asyncio.run(run())


def test_a_program_killed_at_once_leaves_the_cursor(tmp_path: Path, terminal: Terminal) -> None:
    async def run() -> None:
        async with remote_peer(tmp_path) as remote:
            process = await terminal.start(remote)
            await terminal.until(b"0 open, 0 done, 0 failed")
            process.kill()
            await process.wait()
            assert terminal.shown.rpartition(SHOW_CURSOR)[2].count(HIDE_CURSOR) == 0

    asyncio.run(run())


def test_a_terminal_that_knows_no_commands_shows_the_log_alone(
    tmp_path: Path, terminal: Terminal
) -> None:
    async def run() -> None:
        async with remote_peer(tmp_path) as remote:
            process = await terminal.start(remote, TERM="dumb")
            await terminal.until(b"HTTP proxy on ")
            await terminal.fetch_a_page(remote)
            await terminal.until(b": done, ")
            process.terminate()
            assert await process.wait() == 0
            assert b"\x1b" not in terminal.shown

    asyncio.run(run())

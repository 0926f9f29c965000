"""A stream continues unchanged while its session is renewed several times.

With both stacks, to our device and to wireguard-go, all at once. Sessions are renewed every second
here; with `SOAK_SECONDS` in the environment when they are due, as often as fits into that time.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hosts import WG, eventually
from net.home_lab import DIRECTORY, home_lab
from net.unprivileged import unprivileged

if TYPE_CHECKING:
    from net.home_lab import HomeLab

PROGRAM = str(Path(__file__).with_name("echo_stream.py"))
SOAK_SECONDS = int(os.environ.get("SOAK_SECONDS", "0"))
RENEWAL = 119 if SOAK_SECONDS else 1
"""Seconds from one handshake to the next, as wg shows them: at least 120 less one (paper, 6.1)."""
RENEWALS = max(1, SOAK_SECONDS // 150) if SOAK_SECONDS else 2
LIMIT = RENEWALS * RENEWAL + 60

pytestmark = [
    pytest.mark.root,
    pytest.mark.interop,
    pytest.mark.timeout(LIMIT + 120),
    pytest.mark.slow,
]


class EchoStream:
    """A stream from a laptop to its home, and the home's view of the session."""

    def __init__(self, lab: HomeLab, stack: str, exit_stack: ExitStack) -> None:
        self._lab = lab
        program = [sys.executable, PROGRAM, stack, *([] if SOAK_SECONDS else ["fast-rekey"])]
        inside = unprivileged("sh", "-c", f'cd {DIRECTORY} && exec "$@"', "echo_stream", *program)
        self._program = exit_stack.enter_context(subprocess.Popen(
            lab.laptop.argv(*inside), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ))  # fmt: skip

    def begin(self) -> None:
        """Wait until the stream is connected."""
        assert self._program.stdout is not None
        assert self._program.stdout.readline() == "ready\n", self._program.communicate()
        self._first = self._latest_handshake()

    def is_renewed(self) -> bool:
        """Return whether the home's session is that much younger than the first one."""
        return self._latest_handshake() >= self._first + RENEWALS * RENEWAL

    def _latest_handshake(self) -> int:
        shown = self._lab.server.run(WG["original"], "show", "wg0", "latest-handshakes").stdout
        return int(shown.split()[1])

    def end(self) -> int:
        """End the stream; returns how many bytes came back unchanged."""
        output, errors = self._program.communicate()
        assert (self._program.returncode, errors) == (0, "")
        total: int = json.loads(output)["bytes"]
        return total


def test_streams_go_on_unchanged_over_renewals() -> None:
    pairs = list(itertools.product(("kernel", "userspace"), ("holloway", "wireguard-go")))
    with ExitStack() as exit_stack:
        labs = [exit_stack.enter_context(home_lab(device)) for _, device in pairs]
        streams = [
            EchoStream(lab, stack, exit_stack) for lab, (stack, _) in zip(labs, pairs, strict=True)
        ]
        for stream in streams:
            stream.begin()
        eventually(lambda: all(stream.is_renewed() for stream in streams), LIMIT)
        moved = [stream.end() for stream in streams]
        renewed = [stream.is_renewed() for stream in streams]
    for pair, size in zip(pairs, moved, strict=True):
        print(f"{' to '.join(pair)}: {size >> 20} MiB came back unchanged")
    assert all(renewed), renewed
    assert all(moved), moved

"""A stream goes on unchanged while its session is renewed under it, again and again.

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
from net.home import DIRECTORY, home
from net.nobody import as_nobody

if TYPE_CHECKING:
    from net.home import Home

PROGRAM = str(Path(__file__).with_name("flow.py"))
SOAK_SECONDS = int(os.environ.get("SOAK_SECONDS", "0"))
RENEWAL = 119 if SOAK_SECONDS else 1
"""Seconds from one handshake to the next, as wg shows them: at least 120 less one (paper, 6.1)."""
RENEWALS = max(1, SOAK_SECONDS // 150) if SOAK_SECONDS else 2
LIMIT = RENEWALS * RENEWAL + 60

pytestmark = [pytest.mark.root, pytest.mark.interop, pytest.mark.timeout(LIMIT + 120)]


class Flow:
    """A stream from a laptop to its home, and what the home knows of its session."""

    def __init__(self, place: Home, stack: str, around: ExitStack) -> None:
        self._place = place
        program = [sys.executable, PROGRAM, stack, *([] if SOAK_SECONDS else ["hasty"])]
        inside = as_nobody("sh", "-c", f'cd {DIRECTORY} && exec "$@"', "flow", *program)
        self._program = around.enter_context(subprocess.Popen(
            place.laptop.argv(*inside), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ))  # fmt: skip

    def begin(self) -> None:
        """Wait until it is connected."""
        assert self._program.stdout is not None
        assert self._program.stdout.readline() == "ready\n", self._program.communicate()
        self._first = self._latest_handshake()

    def is_renewed(self) -> bool:
        """Whether the home has a session so much younger than the first one."""
        return self._latest_handshake() >= self._first + RENEWALS * RENEWAL

    def _latest_handshake(self) -> int:
        shown = self._place.home.run(WG["original"], "show", "wg0", "latest-handshakes").stdout
        return int(shown.split()[1])

    def end(self) -> int:
        """End it; returns how many bytes came back as they were sent."""
        output, errors = self._program.communicate()
        assert (self._program.returncode, errors) == (0, "")
        total: int = json.loads(output)["bytes"]
        return total


def test_streams_go_on_unchanged_over_renewals() -> None:
    pairs = list(itertools.product(("kernel", "userspace"), ("holloway", "wireguard-go")))
    with ExitStack() as around:
        homes = [around.enter_context(home(device)) for _, device in pairs]
        flows = [Flow(place, stack, around) for place, (stack, _) in zip(homes, pairs, strict=True)]
        for flow in flows:
            flow.begin()
        eventually(lambda: all(flow.is_renewed() for flow in flows), LIMIT)
        moved = [flow.end() for flow in flows]
        renewed = [flow.is_renewed() for flow in flows]
    for pair, size in zip(pairs, moved, strict=True):
        print(f"{' to '.join(pair)}: {size >> 20} MiB came back unchanged")
    assert all(renewed), renewed
    assert all(moved), moved

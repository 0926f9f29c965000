"""Both `wg` programs in one host, with a scripted device to talk to, so as to tell them apart."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hosts import WG

if TYPE_CHECKING:
    from holloway.lab import Host
    from scripted_device import ScriptedDevice

ORIGINAL = ["env", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "wg"]
OURS = [WG["holloway"]]


@dataclass(frozen=True)
class Outcome:
    """All that a run of `wg` leaves behind."""

    status: int
    output: bytes
    errors: bytes
    requests: list[str]


@dataclass
class Pair:
    """Both programs in one host, with one scripted device `hw0` to talk to."""

    host: Host
    device: ScriptedDevice

    def run(self, program: list[str], *arguments: str, stdin: bytes = b"", **env: str) -> Outcome:
        self.device.requests.clear()
        done = subprocess.run(self.host.argv(*program, *arguments), input=stdin,
                              capture_output=True, check=False, env=os.environ | env)  # fmt: skip
        return Outcome(done.returncode, done.stdout, done.stderr, list(self.device.requests))

    def equal(self, *arguments: str, stdin: bytes = b"", **env: str) -> Outcome:
        """Run both, check that nothing tells them apart, and return the outcome."""
        theirs = self.run(ORIGINAL, *arguments, stdin=stdin, **env)
        ours = self.run(OURS, *arguments, stdin=stdin, **env)
        assert ours == theirs, arguments
        return ours

    def path(self, name: str) -> str:
        return f"/proc/{self.host.pid}/root/run/wireguard/{name}.sock"

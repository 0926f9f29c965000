"""Data through a network over a lossy link arrives unchanged, both ways, with both stacks.

The other side is a host with the kernel's TCP. `TRANSFERS` in the environment is how many there are
for each stack and device, instead of a slice.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from net.home_lab import DIRECTORY, home_lab
from net.unprivileged import unprivileged

pytestmark = [
    pytest.mark.root,
    pytest.mark.timeout(0 if "TRANSFERS" in os.environ else 180),
    pytest.mark.slow,
]

NUMBER = int(os.environ.get("TRANSFERS", "160"))
PROGRAM = str(Path(__file__).with_name("transfers.py"))


@pytest.mark.parametrize(
    "device", ["holloway", pytest.param("wireguard-go", marks=pytest.mark.interop)]
)
@pytest.mark.parametrize("stack", ["kernel", "userspace"])
def test_random_transfers_come_back_unchanged(stack: str, device: str) -> None:
    each = NUMBER // 2
    with home_lab(device) as lab:
        program = [sys.executable, PROGRAM, stack, str(each), "1"]
        inside = unprivileged("sh", "-c", f'cd {DIRECTORY} && exec "$@"', "transfers", *program)
        with subprocess.Popen(
            lab.laptop.argv(*inside), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as ours:  # fmt: skip
            assert ours.stdout is not None
            assert ours.stdout.readline() == "ready\n", ours.communicate()
            remote = lab.server.run(sys.executable, PROGRAM, "direct", str(each), str(1 + each),
                                    check=False, timeout=7200)  # fmt: skip
            assert remote.returncode == 0, remote.stderr
            local = ours.stdout.readline()
            _, errors = ours.communicate()
    assert (ours.returncode, errors) == (0, "")
    assert json.loads(local)["transfers"] == json.loads(remote.stdout)["transfers"] == each

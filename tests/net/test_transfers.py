"""What goes through a network over a bad road comes out unchanged, both ways, with both stacks.

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

from net.home import DIRECTORY, home
from net.nobody import as_nobody

pytestmark = [pytest.mark.root, pytest.mark.timeout(0 if "TRANSFERS" in os.environ else 180)]

NUMBER = int(os.environ.get("TRANSFERS", "160"))
PROGRAM = str(Path(__file__).with_name("transfers.py"))


@pytest.mark.parametrize(
    "device", ["holloway", pytest.param("wireguard-go", marks=pytest.mark.interop)]
)
@pytest.mark.parametrize("stack", ["kernel", "userspace"])
def test_random_transfers_come_back_unchanged(stack: str, device: str) -> None:
    each = NUMBER // 2
    with home(device) as place:
        program = [sys.executable, PROGRAM, stack, str(each), "1"]
        inside = as_nobody("sh", "-c", f'cd {DIRECTORY} && exec "$@"', "transfers", *program)
        with subprocess.Popen(
            place.laptop.argv(*inside), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as ours:  # fmt: skip
            assert ours.stdout is not None
            assert ours.stdout.readline() == "ready\n", ours.communicate()
            far = place.home.run(sys.executable, PROGRAM, "direct", str(each), str(1 + each),
                                 check=False, timeout=7200)  # fmt: skip
            assert far.returncode == 0, far.stderr
            near = ours.stdout.readline()
            _, errors = ours.communicate()
    assert (ours.returncode, errors) == (0, "")
    assert json.loads(near)["transfers"] == json.loads(far.stdout)["transfers"] == each

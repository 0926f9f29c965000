"""The first process of the guest: sets it up, then runs commands that the host sends.

One line of JSON each way over a virtio port: `{"argv", "stdin", "environment", "seconds"}` and
`{"status", "output", "errors"}`. Run by the kernel, with the modules to load as arguments.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

MOUNTS = (
    ("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/run"),
)  # fmt: skip
PORT = "/dev/vport0p1"


def main() -> None:
    """Set up, and serve until the machine is switched off."""
    for kind, place in MOUNTS:
        subprocess.run(["mount", "-t", kind, kind, place], check=True)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{number}", f"/dev/{name}")
    os.symlink("/proc/self/fd", "/dev/fd")
    for name in sys.argv[1:]:
        subprocess.run(["modprobe", "--quiet", name], check=False)
    Path("/run/wireguard").mkdir()
    Path("/run/netns").mkdir()
    Path("/dev/net").mkdir(exist_ok=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    port = Path(f"/sys/class/virtio-ports/{Path(PORT).name}")
    while not (port.exists() and os.path.exists(PORT)):
        time.sleep(0.05)
    with open(PORT, "r+b", buffering=0) as stream:
        serve(stream.fileno())


def serve(port: int) -> None:
    """Answer one request after the other."""
    send(port, {"ready": os.uname().release})
    buffered = b""
    while True:
        while b"\n" not in buffered:
            piece = os.read(port, 1 << 16)
            buffered += piece
            if not piece:
                time.sleep(0.05)  # nobody has the other end open
        line, _, buffered = buffered.partition(b"\n")
        send(port, run(json.loads(line)))


def run(request: dict[str, object]) -> dict[str, object]:
    """Run a command to its end."""
    argv, environment, seconds = request["argv"], request["environment"], request["seconds"]
    assert isinstance(argv, list)
    assert isinstance(environment, dict)
    assert isinstance(seconds, float | int)
    stdin = str(request["stdin"]).encode("utf-8", "surrogateescape")
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, timeout=seconds,
                              env=os.environ | environment, check=False)  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"status": -1, "output": "", "errors": repr(error)}
    output, errors = (
        text.decode("utf-8", "surrogateescape") for text in (done.stdout, done.stderr)
    )
    return {"status": done.returncode, "output": output, "errors": errors}


def send(port: int, answer: dict[str, object]) -> None:
    """Write one line."""
    rest = json.dumps(answer).encode() + b"\n"
    while rest:
        rest = rest[os.write(port, rest) :]


if __name__ == "__main__":
    main()

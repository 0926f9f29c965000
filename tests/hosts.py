"""Shared by root and interop tests: the paths of the tools, and how to start devices in a host."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping

    from holloway.lab import Host

REPOSITORY = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
PEERS = REPOSITORY / ".peers" / "bin"
DEVICES = {
    "holloway": [str(BIN / "holloway-device")],
    "wireguard-go": [str(PEERS / "wireguard-go")],
    "boringtun": [str(PEERS / "boringtun-cli"), "--disable-drop-privileges"],
}
WG = {"holloway": str(BIN / "wg"), "original": "/usr/bin/wg"}
ENVIRONMENT = {"WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD": "1"}


@dataclass(frozen=True)
class KeyPair:
    """A private key and its public key, in base64."""

    private: str
    public: str


def key_pair(host: Host, wg: str = WG["original"]) -> KeyPair:
    """Generate a key pair with a `wg`."""
    private = host.run(wg, "genkey").stdout.strip()
    return KeyPair(private, host.run(wg, "pubkey", stdin=private).stdout.strip())


def start_device(
    host: Host,
    implementation: str,
    interface: str,
    namespace: str = "",
    environment: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Start a device that daemonizes, and wait until its socket exists."""
    inside = ["ip", "netns", "exec", namespace] if namespace else []
    # To a file, because some devices keep their caller's output open in the background.
    host.run("sh", "-c", f'exec "$@" >/run/{interface}.log 2>&1', "start",
             *inside, *DEVICES[implementation], interface,
             environment=ENVIRONMENT | dict(environment))  # fmt: skip
    host.run("sh", "-c", f"until [ -S /run/wireguard/{interface}.sock ]; do sleep 0.05; done",
             timeout=60)  # fmt: skip


def program(host: Host, name: str, *arguments: str, namespace: str = "") -> subprocess.Popen[str]:
    """Start one of `traffic.py`'s programs and wait until it listens."""
    inside = ["ip", "netns", "exec", namespace] if namespace else []
    script = str(Path(__file__).parent / "traffic.py")
    started = host.popen(*inside, sys.executable, script, name, *arguments)
    assert started.stdout is not None
    line = started.stdout.readline()
    assert line == "ready\n", started.communicate()
    return started


def result(started: subprocess.Popen[str]) -> dict[str, object]:
    """Wait for a program to end, and return its result."""
    # Not `communicate`, because what arrived together with "ready" is in the buffer of `stdout`.
    with started:
        assert started.stdout is not None
        assert started.stderr is not None
        output, errors = started.stdout.read(), started.stderr.read()
    assert started.returncode == 0, errors
    found: dict[str, object] = json.loads(output)
    return found


def eventually(condition: Callable[[], object], seconds: float = 60.0) -> bool:
    """Call `condition` until it is true; return False if it never is."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True

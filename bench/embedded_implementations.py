"""The implementations of a peer without root, and how each is started in `embedded_testbed`.

The reference runs as root: it is the kernel's TCP over wireguard-go's TUN.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import processes
from embedded_testbed import ENDPOINT, FAR, NEAR, SINK, Testbed

from hosts import BIN, PEERS, WG, start_device
from net.unprivileged import unprivileged

if TYPE_CHECKING:
    from collections.abc import Iterator

LOAD = str(Path(__file__).with_name("embedded_load.py"))
PYTHON = PEERS.parent / "python"
EXCLUDED = "sleep|netem|sh|nsenter|curl|setpriv|cat"


class ImplementationFailed(Exception):
    """An implementation failed."""


@dataclass(frozen=True)
class Implementation:
    """`connector` is how the load connects; `curl` has curl's options, if curl is the load."""

    connector: str
    curl: list[str] | None = None
    daemon: list[str] = field(default_factory=list)

    def missing(self) -> str:
        """Return a missing file that the implementation needs, or an empty text."""
        needed = [self.daemon[0]] if self.daemon else []
        needed += (
            [str(PYTHON / "wireguard_requests")] if self.connector == "wireguard-requests" else []
        )
        return next((path for path in needed if not Path(path).exists()), "")


REFERENCE = "kernel TCP, wireguard-go"
IMPLEMENTATIONS = {
    "Network": Implementation("kernel"),
    "Network, userspace": Implementation("userspace"),
    "holloway proxy": Implementation(
        "socks", ["--socks5", "127.0.0.1:1080"],
        [str(BIN / "holloway"), "proxy", "/run/peer.conf", "-q", "--socks5", "1080"],
    ),
    REFERENCE: Implementation("direct", []),
    "wireproxy": Implementation(
        "socks", ["--socks5", "127.0.0.1:1080"],
        [str(PEERS / "wireproxy"), "-s", "-c", "/run/wireproxy.conf"],
    ),
    "onetun": Implementation(
        "forward", ["--connect-to", f"{FAR}:80:127.0.0.1:8080",
                    "--connect-to", f"{FAR}:{SINK}:127.0.0.1:9090"],
        [str(PEERS / "onetun"), f"8080:{FAR}:80:TCP", f"9090:{FAR}:{SINK}:TCP",
         "--private-key-file", "/run/peer.key", "--source-peer-ip", NEAR, "--log", "error"],
    ),
    "wireguard-requests": Implementation("wireguard-requests"),
}  # fmt: skip


class Peer:
    """An implementation that runs in the near host."""

    def __init__(self, name: str, testbed: Testbed, endpoint: str) -> None:
        self.implementation = IMPLEMENTATIONS[name]
        self.testbed = testbed
        self.endpoint = endpoint
        self.is_reference = name == REFERENCE
        self._config = testbed.config(endpoint)

    def start(self) -> None:
        """Start the implementation if it is a daemon; otherwise the load starts it."""
        near = self.testbed.near
        self.testbed.reset_peer()
        if self.is_reference:
            self._start_reference()
        elif self.implementation.daemon:
            near.write("/run/peer.conf", self._config, 0o644)
            near.write("/run/wireproxy.conf", f"{self._config}\n[Socks5]\n"
                       "BindAddress = 127.0.0.1:1080\n", 0o644)  # fmt: skip
            near.write("/run/peer.key", self.testbed.keys[0].private, 0o644)
            command = [*self.implementation.daemon]
            if "onetun" in command[0]:
                command += ["--endpoint-public-key", self.testbed.keys[1].public,
                            "--endpoint-addr", self.endpoint]  # fmt: skip
            near.run(
                "sh", "-c", 'exec "$@" >/run/daemon.log 2>&1 &', "start",
                *with_max_descriptors(unprivileged(*command)),
            )  # fmt: skip

    def stop(self) -> None:
        """End every process of the near host except the first."""
        self.testbed.near.run(
            "sh", "-c", "for p in /proc/[2-9]* /proc/1[0-9]*; do p=${p#/proc/};"
            " [ $p = $$ ] || kill -9 $p 2>/dev/null; done; rm -rf /run/wireguard/*;"
            " ip link delete wg0 2>/dev/null; true")  # fmt: skip

    def load(self, name: str, amount: float, *, timeout: float = 120) -> dict[str, float]:
        """Run a load of `embedded_load` to its end; raises `ImplementationFailed`."""
        done = self.testbed.near.run(*self.command(name, amount), check=False, timeout=timeout)
        if done.returncode != 0 or not done.stdout:
            raise ImplementationFailed(done.stderr.strip().splitlines()[-1:] or "no output")
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return found

    @contextlib.contextmanager
    def started(self, name: str, amount: float) -> Iterator[subprocess.Popen[str]]:
        """Run a load that ends when its standard input does."""
        program = subprocess.Popen(
            self.testbed.near.argv(*self.command(name, amount)), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            yield program
        finally:
            program.communicate()

    def command(self, name: str, amount: float) -> list[str]:
        """Return the command line of a load, which runs without privileges."""
        words = [
            sys.executable,
            LOAD,
            self.implementation.connector,
            name,
            str(amount),
            self._config,
        ]
        # An implementation may hang. No load takes this long.
        return [
            "timeout",
            "-k",
            "1",
            "100",
            *with_max_descriptors(unprivileged("env", f"PYTHONPATH={PYTHON}", *words)),
        ]

    def wait(self) -> None:
        """Wait until the first response arrives through the tunnel."""
        if self.implementation.curl is not None:
            self.testbed.near.run(
                "sh", "-c", 'until curl -sf -m 2 -o /dev/null "$@"; do sleep 0.002; done', "wait",
                *self.implementation.curl, f"http://{FAR}/ok", timeout=30,
            )  # fmt: skip

    def curl(self, *words: str, timeout: float = 120) -> tuple[str, float]:
        """Run curl, and return its output and the CPU seconds that it used."""
        assert self.implementation.curl is not None
        before = _of_children()
        done = self.testbed.near.run("curl", "-s", *self.implementation.curl, *words, check=False,
                                   timeout=timeout)  # fmt: skip
        return done.stdout, _of_children() - before

    def cpu(self) -> float:
        """Return the CPU seconds of the daemon."""
        return processes.cpu_seconds(self.testbed.near, exclude=EXCLUDED)

    def memory(self) -> float:
        """Return the resident MiB of the daemon."""
        lines = processes.for_each_process(
            self.testbed.near, "grep VmRSS $p/status", exclude=EXCLUDED
        )
        return sum(int(words[1]) for words in lines) / 1024

    def _start_reference(self) -> None:
        near = self.testbed.near
        start_device(near, "wireguard-go", "wg0")
        near.write("/run/key", self.testbed.keys[0].private)
        near.run(
            "sh", "-c", f'{WG["original"]} set wg0 private-key /run/key peer "$1" allowed-ips'
            f' {FAR}/32 endpoint "$2" && ip address add {NEAR}/24 dev wg0'
            " && ip link set wg0 mtu 1420 up",
            "start", self.testbed.keys[1].public, self.endpoint,
        )  # fmt: skip


@contextlib.contextmanager
def running(name: str, testbed: Testbed, endpoint: str = ENDPOINT) -> Iterator[Peer]:
    """Start an implementation, and in the end stop every process that it started."""
    peer = Peer(name, testbed, endpoint)
    try:
        peer.start()
        peer.wait()
        yield peer
    except subprocess.SubprocessError as error:
        raise ImplementationFailed(str(error)) from None
    finally:
        peer.stop()


def with_max_descriptors(command: list[str]) -> list[str]:
    """Raise the limit of descriptors to the maximum; ten thousand connections need them."""
    return ["sh", "-c", 'ulimit -n "$(ulimit -Hn)"; exec "$@"', "limited", *command]


def _of_children() -> float:
    times: Any = os.times()
    return float(times.children_user + times.children_system)

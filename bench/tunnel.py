"""The tunnel to measure: two hosts on a link, a device in each, configured by the original `wg`."""

from __future__ import annotations

import json
import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import processes

from holloway.lab import Host, join
from hosts import WG, key_pair, start_device

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack

PROGRAMS = "holloway-devic*|wireguard-go|boringtun-cli"


@dataclass(frozen=True)
class Implementation:
    """A device, and its environment variables."""

    device: str
    environment: dict[str, str] = field(default_factory=dict)


IMPLEMENTATIONS = {
    "holloway": Implementation("holloway"),
    "wireguard-go": Implementation("wireguard-go"),
    "boringtun": Implementation("boringtun"),
    "holloway with ring": Implementation("holloway", {"HOLLOWAY_AEAD": "ring"}),
    "holloway with avx2": Implementation("holloway", {"HOLLOWAY_AEAD": "avx2"}),
}


class Tunnel:
    """Hosts 1 and 2, whose devices may differ. Host N is 10.98.0.N and fd98::N in the tunnel, and
    10.99.0.N outside.
    """

    def __init__(self, device: str, stack: ExitStack, other: str = "") -> None:
        self.device = device
        self.devices = (device, other or device)
        self.hosts = [stack.enter_context(Host(name)) for name in ("left", "right")]
        join(*self.hosts)
        self.keys = [key_pair(host) for host in self.hosts]
        for number, host in enumerate(self.hosts, 1):
            host.run("ip", "address", "add", f"10.99.0.{number}/24", "dev", "eth0")
            start_implementation(host, IMPLEMENTATIONS[self.devices[number - 1]])
            host.write("/run/key", self.keys[number - 1].private)
            self.wg(number, "set", "wg0", "private-key", "/run/key", "listen-port", "51820")
            self.add_peer(number)
            host.run("ip", "address", "add", f"10.98.0.{number}/24", "dev", "wg0")
            host.run("ip", "address", "add", f"fd98::{number}/64", "dev", "wg0", "nodad")
            host.run("ip", "link", "set", "wg0", "mtu", "1420", "up")
        self.hosts[0].run("ping", "-c", "2", "-W", "10", "10.98.0.2")

    def wg(self, number: int, *arguments: str) -> str:
        return self.hosts[number - 1].run(WG["original"], *arguments).stdout

    def add_peer(self, number: int) -> None:
        other = 3 - number
        self.wg(number, "set", "wg0", "peer", self.keys[other - 1].public, "allowed-ips",
                f"10.98.0.{other}/32,fd98::{other}/128", "endpoint",
                f"10.99.0.{other}:51820")  # fmt: skip

    def remove_peer(self, number: int) -> None:
        self.wg(number, "set", "wg0", "peer", self.keys[2 - number].public, "remove")

    def received(self, number: int) -> int:
        """Return the bytes that the device has received from its peer."""
        return int(self.wg(number, "show", "wg0", "transfer").split()[1])

    def cpu_seconds(self) -> float:
        """Return the CPU seconds that both device processes have used."""
        return sum(processes.cpu_seconds(host, include=PROGRAMS) for host in self.hosts)

    def peak_memory(self) -> float:
        """Return the peak resident MiB of the larger device process."""
        lines = self._of_devices("grep VmHWM $p/status")
        return max(int(words[1]) for words in lines) / 1024

    def memory(self) -> float:
        """Return the resident MiB of the larger device process."""
        return max(map(device_memory, self.hosts))

    def switches(self) -> int:
        """Return the number of context switches of both devices' threads so far."""
        lines = self._of_devices("cat $p/task/*/status | grep ctxt_switches")
        return sum(int(words[1]) for words in lines)

    def _of_devices(self, command: str) -> list[list[str]]:
        return [
            words
            for host in self.hosts
            for words in processes.for_each_process(host, command, include=PROGRAMS)
        ]

    def iperf(self, address: str, *options: str) -> dict[str, Any]:
        """Run iperf3 from left to right, and return its `end` with the devices' CPU seconds."""
        with self.iperf_server(address):
            before = self.cpu_seconds()
            shown = self.hosts[0].run("iperf3", "-J", "-c", address, *options, timeout=120)
            used = self.cpu_seconds() - before
        end: dict[str, Any] = json.loads(shown.stdout)["end"]
        return end | {"cpu": used}

    @contextmanager
    def iperf_server(self, address: str) -> Iterator[None]:
        """Run a server on the right for one client, which must end within the block."""
        server = self.hosts[1].popen("iperf3", "-s", "-1", "-B", address, "--forceflush")
        assert server.stdout is not None
        while "Server listening" not in server.stdout.readline():
            assert server.poll() is None
        yield
        server.communicate(timeout=60)

    def ping(self, count: int) -> list[float]:
        """Return the round trip times in milliseconds, sorted."""
        shown = self.hosts[0].run("ping", "-n", "-i", "0.002", "-c", str(count), "10.98.0.2",
                                  timeout=120).stdout  # fmt: skip
        return sorted(map(float, re.findall(r"time=([\d.]+)", shown)))


def start_implementation(host: Host, implementation: Implementation) -> None:
    """Start the device as wg0."""
    start_device(host, implementation.device, "wg0", environment=implementation.environment)


def device_memory(host: Host) -> float:
    """Return the resident MiB of the device, and what its monitor does not share with it."""
    command = "awk '/^Rss:/ {r=$2} /^Private/ {p+=$2} END {print r, p}' $p/smaps_rollup"
    found = [
        (int(resident), int(private))
        for resident, private in processes.for_each_process(host, command, include=PROGRAMS)
    ]
    return (max(found)[0] + sum(private for _, private in sorted(found)[:-1])) / 1024

"""The hub and the peers of `soak_faults`: hosts on links of their own, with devices and traffic."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holloway.lab import Host, join
from hosts import WG, KeyPair, key_pair, start_device

if TYPE_CHECKING:
    import random
    import subprocess
    from collections.abc import Sequence
    from contextlib import ExitStack

HUB = "10.98.0.1"
PORT = 51820
MANY = 1000


@dataclass(frozen=True)
class Holds:
    """What a device holds; memory is resident, in KiB, and all is of its processes together."""

    memory: int
    descriptors: int
    threads: int

    def __str__(self) -> str:
        return f"{self.memory} KiB, {self.descriptors} descriptors, {self.threads} threads"


class Peer:
    """A peer of the hub. Its link is 10.99.NUMBER.0/24, and in the tunnel it is 10.98.0.NUMBER."""

    def __init__(self, stack: ExitStack, number: int, device: str) -> None:
        self.number = number
        self.device = device
        self.host = stack.enter_context(Host(f"peer{number}"))
        self.address = f"10.98.0.{number}"
        self._traffic: list[subprocess.Popen[str]] = []

    def connect(self, hub: Hub) -> None:
        """Make the link, and start the device."""
        self._hub = hub
        join(hub.host, self.host, first_name=f"eth{self.number}")
        hub.host.run("ip", "address", "add", f"10.99.{self.number}.1/24",
                     "dev", f"eth{self.number}")  # fmt: skip
        self.outer("address", "add", f"10.99.{self.number}.2/24", "dev", "eth0")
        self.keys = key_pair(self.host)
        self._start()

    def outer(self, kind: str, *words: str) -> None:
        """Run `ip`."""
        self.host.run("ip", kind, *words)

    inner = outer

    def wg(self, *words: str) -> str:
        """Run the original `wg`."""
        return self.host.run(WG["original"], *words).stdout

    def move_to(self, last: int) -> None:
        """Replace the outer address."""
        self.outer("address", "flush", "dev", "eth0", "scope", "global")
        self.outer("address", "add", f"10.99.{self.number}.{last}/24", "dev", "eth0")

    def make_key(self) -> None:
        """Take a new key pair."""
        self.keys = key_pair(self.host)
        self._set_key()

    def add_hub(self) -> None:
        """Add the hub as the only peer."""
        for line in self.wg("show", "wg0", "peers").split():
            self.wg("set", "wg0", "peer", line, "remove")
        self.wg("set", "wg0", "peer", self._hub.keys.public, "allowed-ips", "10.98.0.0/24",
                "endpoint", f"10.99.{self.number}.1:{PORT}")  # fmt: skip

    def restart(self) -> None:
        """Kill the device, and start another."""
        self.host.run("pkill", "-KILL", "-f", "holloway-device|wireguard-go")
        self.host.run("sh", "-c", "until ! ip link show wg0 2>/dev/null; do sleep 0.05; done")
        self.host.run("rm", "-f", "/run/wireguard/wg0.sock")
        self._start()

    def start_traffic(self) -> None:
        """Send to the hub, and let the hub send, until `stop_traffic`."""
        for one in self._traffic:
            if one.poll() is None:
                return
        self.stop_traffic()
        self._traffic = [
            self.host.popen("ping", "-q", "-n", "-i", "0.02", "-s", "1200", HUB),
            self.host.popen("iperf3", "-c", HUB, "-p", str(5200 + self.number), "-t", "20",
                            "-b", "100M", "--bidir", "--connect-timeout", "3000"),
        ]  # fmt: skip

    def stop_traffic(self) -> None:
        """End the traffic."""
        end(self.host, self._traffic)
        self._traffic = []

    def _start(self) -> None:
        start_device(self.host, self.device, "wg0")
        self._set_key()
        self.add_hub()
        self.outer("address", "add", f"{self.address}/24", "dev", "wg0")
        self.outer("link", "set", "wg0", "mtu", "1420", "up")

    def _set_key(self) -> None:
        self.host.write("/run/key", self.keys.private)
        self.wg("set", "wg0", "private-key", "/run/key")


class Hub:
    """Our device, and its peers."""

    def __init__(self, stack: ExitStack, devices: Sequence[str]) -> None:
        self.host = stack.enter_context(Host("hub"))
        self._carried = 0
        start_device(self.host, "holloway", "wg0")
        self.keys: KeyPair
        self.peers: list[Peer] = []
        self._make_key()
        self.host.run("ip", "address", "add", f"{HUB}/24", "dev", "wg0")
        self.host.run("ip", "link", "set", "wg0", "mtu", "1420", "up")
        self._servers: list[subprocess.Popen[str]] = []
        for number, device in enumerate(devices, 2):
            peer = Peer(stack, number, device)
            peer.connect(self)
            self.peers.append(peer)
            self.add(peer)
            port = str(5200 + number)
            self._servers.append(self.host.popen("iperf3", "-s", "-p", port))
        stack.callback(self._end)
        self.keep_traffic_going()

    def add(self, peer: Peer) -> None:
        """Add a peer, without an endpoint: it calls."""
        self._wg("set", "wg0", "peer", peer.keys.public, "allowed-ips", f"{peer.address}/32")

    def remove(self, peer: Peer) -> None:
        """Remove a peer."""
        self._count(peer.keys.public)
        self._wg("set", "wg0", "peer", peer.keys.public, "remove")

    def change_key(self) -> None:
        """Take another key, and tell the peers."""
        self._make_key()
        for peer in self.peers:
            peer.add_hub()

    def set_many_prefixes(self, peer: Peer, random: random.Random) -> None:
        """Give a peer many prefixes more for a moment."""
        prefixes = ",".join(
            f"{random.randrange(11, 90)}.{random.randrange(256)}.{random.randrange(256)}.0/24"
            for _ in range(MANY)
        )
        own = f"{peer.address}/32"
        self._wg("set", "wg0", "peer", peer.keys.public, "allowed-ips", f"{own},{prefixes}")
        self._wg("set", "wg0", "peer", peer.keys.public, "allowed-ips", own)

    def recovers(self, peer: Peer, limit: float) -> float | None:
        """Return the seconds until a peer reaches the hub; None if it never does."""
        began = time.monotonic()
        while time.monotonic() < began + limit:
            if peer.host.run("ping", "-c", "1", "-W", "0.3", HUB, check=False).returncode == 0:
                return time.monotonic() - began
        return None

    def keep_traffic_going(self) -> None:
        """Start what has ended."""
        for peer in self.peers:
            peer.start_traffic()

    def stop_traffic(self) -> None:
        """End all traffic."""
        for peer in self.peers:
            peer.stop_traffic()

    def carried(self) -> float:
        """Return the gigabytes that the hub's device has received and sent, as far as it knows."""
        for peer in self.peers:
            self._count(peer.keys.public)
        return self._carried / 1e9

    def holds(self) -> Holds:
        """Return what the device's processes hold."""
        script = (
            "for p in $(grep -l holloway-devic /proc/[0-9]*/comm); do p=${p%/comm};"
            " echo $(grep VmRSS $p/status | tr -dc 0-9) $(ls $p/fd | wc -l) $(ls $p/task | wc -l);"
            " done"
        )
        lines = [line.split() for line in self.host.run("sh", "-c", script).stdout.splitlines()]
        return Holds(*(sum(int(line[place]) for line in lines) for place in range(3)))

    def _count(self, public: str) -> None:
        for line in self._wg("show", "wg0", "transfer").splitlines():
            key, *counts = line.split()
            if key == public:
                self._carried += sum(map(int, counts))

    def _make_key(self) -> None:
        self.keys = key_pair(self.host)
        self.host.write("/run/key", self.keys.private)
        self._wg("set", "wg0", "private-key", "/run/key", "listen-port", str(PORT))

    def _wg(self, *words: str) -> str:
        return self.host.run(WG["original"], *words).stdout

    def _end(self) -> None:
        self.stop_traffic()
        end(self.host, self._servers)


def end(host: Host, programs: list[subprocess.Popen[str]]) -> None:
    """End the programs of a host. They are children of what entered the host."""
    host.run("pkill", "-KILL", "-x", "ping|iperf3", check=False)
    for one in programs:
        one.communicate()

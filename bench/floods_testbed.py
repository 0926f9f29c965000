"""The hosts of a flood: a server with 2,000 peers, and on a link of their own each a client with a
session, new clients, and an attacker.

The server's default route leads to the attacker, so that replies to spoofed sources leave. The
attacker's host drops them where they come in: on a real network they would cost this machine no
more. The server and the client have the device under test.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import floods_clients
from many_peers import key
from samples import device_pids
from tunnel import IMPLEMENTATIONS, start_implementation

from holloway.lab import Host, join
from hosts import REPOSITORY, WG, key_pair

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack

GENERATOR = REPOSITORY / "target/release/holloway-flood"
OTHER_PEERS = 2000
CLIENT, SERVER = "10.98.0.1", "10.98.0.2"
TARGET = "10.99.2.2"
"""The server's address on the attacker's link."""
TICKS = os.sysconf("SC_CLK_TCK")


class FloodHosts:
    """All four hosts; the client has a session."""

    def __init__(self, device: str, stack: ExitStack, generator: Path = GENERATOR) -> None:
        self.generator = generator
        names = ("server", "client", "honest", "attacker")
        hosts = [stack.enter_context(Host(name)) for name in names]
        self.server, self.client, self.honest, self.attacker = hosts
        for number, other in enumerate(hosts[1:]):
            join(self.server, other, first_name=f"eth{number}")
            ends = ((self.server, f"eth{number}", 2), (other, "eth0", 1))
            for host, name, last in ends:
                host.run("ip", "address", "add", f"10.99.{number}.{last}/24", "dev", name)
            for (host, name, _), (far, far_name, last) in (ends, ends[::-1]):
                # Fixed, because a flood that loses ARP messages would silence a whole link.
                host.run("ip", "neighbour", "replace", f"10.99.{number}.{last}", "dev", name,
                         "lladdr", hardware_address(far, far_name), "nud", "permanent")  # fmt: skip
        self.attacker.run("nft", "add table netdev flood; add chain netdev flood replies"
                          " { type filter hook ingress device eth0 priority 0; };"
                          " add rule netdev flood replies udp sport 51820 drop")  # fmt: skip
        self.server.run("sh", "-c", "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$f;"
                        " done; ip route add default via 10.99.2.1")  # fmt: skip
        self.keys = key_pair(self.server)
        self._start(device)
        self.client.run("ping", "-c", "2", "-W", "10", SERVER)
        self.pids = list(device_pids(self.server))

    def _start(self, device: str) -> None:
        client = key_pair(self.client)
        servers = self._interface(self.keys.private) + self._peer(client.public, CLIENT)
        for number in range(1 + floods_clients.COUNT):
            address = floods_clients.address(number)
            servers += self._peer(floods_clients.public_key(number), address)
        for number in range(OTHER_PEERS):
            servers += self._peer(key(), f"10.97.{number // 250}.{number % 250}")
        clients = self._interface(client.private) + self._peer(self.keys.public, SERVER)
        clients += "Endpoint = 10.99.0.2:51820\n"
        for host, config, address in (
            (self.server, servers, SERVER), (self.client, clients, CLIENT)
        ):  # fmt: skip
            start_implementation(host, IMPLEMENTATIONS[device])
            host.write("/run/wg0.conf", config)
            host.run(WG["original"], "setconf", "wg0", "/run/wg0.conf")
            host.run("ip", "address", "add", f"{address}/16", "dev", "wg0")
            host.run("ip", "link", "set", "wg0", "mtu", "1420", "up")

    @staticmethod
    def _interface(private: str) -> str:
        return f"[Interface]\nPrivateKey = {private}\nListenPort = 51820\n"

    @staticmethod
    def _peer(public: str, address: str) -> str:
        return f"[Peer]\nPublicKey = {public}\nAllowedIPs = {address}/32\n"

    def program(self, host: Host, *words: str) -> subprocess.Popen[str]:
        """Start a program of `floods_clients` in a host, with its input and output in pipes."""
        command = host.argv(sys.executable, floods_clients.__file__, *words)
        started = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert started.stdout is not None
        if words[0] != "initiate":
            assert started.stdout.readline() == "ready\n", started.communicate()
        return started

    def answered_initiation(self) -> str:
        """Return in hexadecimal an initiation that the server has answered."""
        return finish(self.program(self.honest, "initiate", self.keys.public)).strip()

    def receiver_index(self) -> str:
        """Return the server's index of its session with the client."""
        watching = self.program(self.server, "receiver")
        self.client.run("ping", "-c", "1", "-W", "10", SERVER)
        return finish(watching).strip()

    def flood(self, *options: str, target: str = f"{TARGET}:51820") -> subprocess.Popen[str]:
        """Start a flood from the attacker.

        The generator compares with the machine's process 1, so it stays in the machine's namespace
        of processes.
        """
        command = ["nsenter", "--target", str(self.attacker.pid), "--net", "--",
                   str(self.generator), "--namespace", str(self.server.pid), "--target", target,
                   *options]  # fmt: skip
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    @contextmanager
    def trains_joined(self) -> Iterator[None]:
        """Let the server's receive offload (GRO) join the attacker's datagrams.

        A network card's driver does that by itself. A veth pair does it only for a sender without
        segmentation offload (veth.c, veth_skb_is_eligible_for_gro), within the timeout.
        """
        self._offload("off", "on", 200_000)
        try:
            yield
        finally:
            self._offload("on", "off", 0)

    def _offload(self, tso: str, gro: str, timeout: int) -> None:
        words = ("tso", tso, "tx-sctp-segmentation", tso)
        self.attacker.run("ethtool", "-K", "eth0", *words)
        self.server.run("ethtool", "-K", "eth2", "gro", gro)
        # The /sys of a host is the machine's, which does not show the host's interfaces.
        path = "/run/sys/class/net/eth2/gro_flush_timeout"
        script = (
            f"mkdir -p /run/sys && mount -t sysfs sysfs /run/sys && echo {timeout} >{path};"
            " umount /run/sys"
        )
        self.server.run("sh", "-c", script)

    @contextmanager
    def tcp(self, seconds: int) -> Iterator[None]:
        """Let iperf3 send from the client to the server, as fast as it can."""
        server = self.server.popen("iperf3", "-s", "-1", "-B", SERVER, "--forceflush")
        assert server.stdout is not None
        while "Server listening" not in server.stdout.readline():
            assert server.poll() is None
        client = self.client.popen("iperf3", "-C", "cubic", "-c", SERVER, "-t", str(seconds))
        try:
            yield
        finally:
            for host in (self.client, self.server):
                host.run("pkill", "-x", "iperf3", check=False)
            client.communicate()
            server.communicate()

    def passed_on(self) -> int:
        """Return the bytes that the server's device has passed on to its interface so far."""
        text = Path(f"/proc/{self.server.pid}/net/dev").read_text()
        return int(text.partition("wg0:")[2].split()[0])

    def cpu_seconds(self) -> float:
        """Return the CPU seconds that the processes of the server's device have used."""
        texts = (Path(f"/proc/{pid}/stat").read_text() for pid in self.pids)
        each = (text.rpartition(")")[2].split() for text in texts)
        return sum(int(fields[11]) + int(fields[12]) for fields in each) / TICKS

    def peak_memory(self) -> float:
        """Return the peak resident MiB of the largest process of the server's device.

        Not of all, because processes that forked share pages.
        """
        texts = (Path(f"/proc/{pid}/status").read_text() for pid in self.pids)
        return max(int(text.partition("VmHWM:")[2].split()[0]) for text in texts) / 1024


def hardware_address(host: Host, interface: str) -> str:
    """Return the hardware address of an interface."""
    (link,) = json.loads(host.run("ip", "-j", "link", "show", interface).stdout)
    address: str = link["address"]
    return address


def finish(started: subprocess.Popen[str]) -> str:
    """Wait for a program's success, and return the rest of its output."""
    with started:
        assert started.stdout is not None
        assert started.stderr is not None
        output, errors = started.stdout.read(), started.stderr.read()
    if started.returncode != 0:
        raise RuntimeError(f"{started.args!r}: {errors}")
    return output


def finish_json(started: subprocess.Popen[str]) -> object:
    """Wait for a program's success, and return what it printed as JSON."""
    found: object = json.loads(finish(started))
    return found

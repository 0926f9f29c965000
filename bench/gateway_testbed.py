"""A gateway and its clients: a hub with the device under test, and on one link all clients.

The clients are ours whatever the hub is (`gateway_clients`), and stay for a whole run; each hub has
a host and a key of its own. Figures are read here, so that nothing else looks into /proc.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import gateway_clients
import gateway_load
from floods_testbed import TICKS
from gateway_load import Flow
from namespaces import network_of
from samples import device_pids
from slow_processors import SlowProcessors, shard_threads
from tunnel import Implementation, device_memory, start_implementation

from holloway.lab import Host, join
from hosts import WG, eventually, key_pair

if TYPE_CHECKING:
    from collections.abc import Iterator

HUB, HUB_OUTSIDE = "10.98.0.1", "10.99.0.1"
PORT = 5000


@dataclass(frozen=True)
class Load:
    """What a load moved: bytes of each flow, and the CPU seconds of the hub and of the clients."""

    seconds: float
    moved: list[int]
    hub: float
    clients: float


@dataclass
class Hub:
    """A hub with a running device, which knows all clients."""

    host: Host
    implementation: Implementation
    slow: SlowProcessors | None
    processors: int
    pids: list[str] = field(default_factory=list)

    def shards(self) -> int:
        """Return how many threads of the device move packets, for a device of ours."""
        return sum(1 for pid in self.pids for _ in shard_threads(pid))

    def slow_down(self) -> None:
        """Put what moves packets on slow processors; threads may have started meanwhile."""
        if self.slow is None:
            return
        for pid in self.pids:
            if self.implementation.device == "holloway":
                for thread in shard_threads(pid):
                    self.slow.limit_thread(thread)
            else:
                self.slow.limit_process(pid, self.processors)

    def memory(self) -> float:
        """Return the resident MiB of the device."""
        return device_memory(self.host)


class Clients:
    """The clients' host; the hub of the moment is given to all of them."""

    def __init__(self, count: int, stack: ExitStack) -> None:
        self.count = count
        self.host = stack.enter_context(Host("clients"))
        names = [gateway_clients.namespace(number) for number in range(count)]
        self.host.run("sh", "-c", 'for name; do ip netns add "$name"; done', "add", *names)
        command = self.host.argv(sys.executable, gateway_clients.__file__, str(count))
        self._program = stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        self._expect("ready")
        stack.callback(self._program.terminate)

    @contextmanager
    def hub(
        self, implementation: Implementation, percent: float = 0, processors: int = 0
    ) -> Iterator[Hub]:
        """Run a device as the hub of all clients.

        If `percent` is not 0, it has `processors` of so much of a real one's time.
        """
        with ExitStack() as stack:
            slow = stack.enter_context(SlowProcessors(percent)) if percent else None
            host = stack.enter_context(Host("hub"))
            join(host, self.host)
            # The kernel would remove it some time after the hub, and the next hub needs its name.
            stack.callback(self.host.run, "ip", "link", "delete", "eth0")
            host.run("ip", "address", "add", f"{HUB_OUTSIDE}/24", "dev", "eth0")
            self.host.run("ip", "address", "add", "10.99.0.2/24", "dev", "eth0")
            host.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
            keys = key_pair(host)
            start_implementation(host, implementation)
            host.write("/run/wg0.conf", self._configuration(keys.private))
            host.run(WG["original"], "setconf", "wg0", "/run/wg0.conf")
            host.run("ip", "address", "add", f"{HUB}/16", "dev", "wg0")
            host.run("ip", "link", "set", "wg0", "mtu", "1420", "up")
            self._tell(f"{keys.public} {HUB_OUTSIDE}")
            hub = Hub(host, implementation, slow, processors, list(device_pids(host)))
            assert eventually(lambda: self._connected(hub)), "a client has no session"
            yield hub

    def run(self, hub: Hub, flows: list[Flow], seconds: float) -> Load:
        """Run a load on all flows at once."""
        hub.slow_down()
        program = subprocess.Popen(
            [sys.executable, gateway_load.__file__, str(seconds)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        with program:
            assert program.stdin is not None
            assert program.stdout is not None
            program.stdin.write(json.dumps(flows))
            program.stdin.close()
            assert program.stdout.readline() == "begin\n", "the load did not start"
            measured = (hub.pids, self._pids())
            before = [cpu_seconds(pids) for pids in measured]
            assert program.stdout.readline() == "end\n", "the load broke off"
            after = [cpu_seconds(pids) for pids in measured]
            moved = json.loads(program.stdout.read())
        used = (last - first for first, last in zip(before, after, strict=True))
        return Load(seconds, moved, *used)

    def to_hub(self, hub: Hub, count: int) -> list[Flow]:
        """Return a flow from each of the first clients to the hub."""
        return [
            Flow(self._network(number), network_of(hub.host), HUB, PORT + number)
            for number in range(count)
        ]

    def through_hub(self, count: int) -> list[Flow]:
        """Return a flow from each of the first clients to the next one, the last to the first."""
        around = max(count, 2)
        ends = ((number, (number + 1) % around) for number in range(count))
        return [
            Flow(self._network(source), self._network(target),
                 gateway_clients.address(target), PORT)
            for source, target in ends
        ]  # fmt: skip

    def _pids(self) -> list[str]:
        """Return the process of all clients, which `nsenter` has forked."""
        path = Path(f"/proc/{self._program.pid}/task/{self._program.pid}/children")
        return path.read_text().split()

    def _network(self, number: int) -> str:
        return network_of(self.host, gateway_clients.namespace(number))

    def _configuration(self, private: str) -> str:
        peers = (
            f"[Peer]\nPublicKey = {gateway_clients.public_key(number)}\n"
            f"AllowedIPs = {gateway_clients.address(number)}/32\n"
            for number in range(self.count)
        )
        interface = f"[Interface]\nPrivateKey = {private}\nListenPort = {gateway_clients.PORT}\n"
        return interface + "".join(peers)

    def _connected(self, hub: Hub) -> bool:
        shown = hub.host.run(WG["original"], "show", "wg0", "latest-handshakes").stdout
        return all(line.split()[1] != "0" for line in shown.splitlines())

    def _tell(self, line: str) -> None:
        assert self._program.stdin is not None
        self._program.stdin.write(f"{line}\n")
        self._program.stdin.flush()
        self._expect("set")

    def _expect(self, word: str) -> None:
        assert self._program.stdout is not None
        assert self._program.stdout.readline() == f"{word}\n", "the clients have ended"


def cpu_seconds(pids: list[str]) -> float:
    """Return the CPU seconds that processes have used."""
    each = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids)
    return sum(int(fields[11]) + int(fields[12]) for fields in each) / TICKS

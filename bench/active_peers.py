"""Compare devices with thousands of peers that all send and receive, interleaved in one run.

    python bench/active_peers.py [--quick] [--rounds 3] [--seconds 10] [--peers 10000]
                                 [--devices holloway,wireguard-go] [--out FILE.json]

A hub has `--peers` peers with ten allowed IPs each. All make a handshake. Then each exchanges
requests and answers over TCP, while `wg show` runs. Then numbered datagrams go to each and back,
while a hundred other peers a second are added and removed. All processes share the machine's
processors: compare ratios of one run.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import active_load
import active_sessions
from active_report import CHURN, CONFIGURATION, EXCHANGE, MEASURES, SESSIONS
from compare import versions
from floods_clients import public_key
from gateway_testbed import cpu_seconds
from many_peers import PATH, key, milliseconds
from namespaces import network_of
from progress import Progress
from results import Report, about_run
from rounds import measure_in_turn
from samples import device_pids
from tunnel import IMPLEMENTATIONS, device_memory, start_implementation

from holloway.lab import Host, join
from hosts import WG, key_pair

if TYPE_CHECKING:
    from collections.abc import Iterator

Figures = dict[str, float]
HUB_OUTSIDE = "10.99.0.1"
COME, TURN = 10, 0.1
"""How many peers come and go at once, and how often."""
SHOWS = 3
TRANSMIT_DROPPED, RECEIVE_DROPPED = 12, 5
"""Columns of /proc/net/dev, and of the line of UDP in /proc/net/snmp (RcvbufErrors)."""
SILENT = (  # as many addresses of a host's own as there are peers
    "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$f; done;"
    " echo 0 >/proc/sys/net/ipv4/tcp_slow_start_after_idle"
)


class Testbed:
    """A hub with all peers configured, and the host where they are."""

    def __init__(self, device: str, count: int, stack: ExitStack) -> None:
        self.count = count
        self.hub, self.peers = (stack.enter_context(Host(name)) for name in ("hub", "peers"))
        join(self.hub, self.peers)
        self.keys = key_pair(self.hub)
        for host, address in ((self.hub, HUB_OUTSIDE), (self.peers, "10.99.0.2")):
            host.run("ip", "address", "add", f"{address}/24", "dev", "eth0")
            host.run("sh", "-c", SILENT)
        start_implementation(self.hub, IMPLEMENTATIONS[device])
        self.pids = list(device_pids(self.hub))

    def configure(self) -> Figures:
        """Set all peers at once, and bring the interface up."""
        before = device_memory(self.hub)
        self.hub.write(PATH, "".join(self._configuration()))
        taken = milliseconds(self.hub, WG["original"], "setconf", "wg0", PATH)
        for command in (
            "link set wg0 mtu 1420 up",
            f"route add {active_sessions.NEAR} dev wg0",
            f"route add local {active_sessions.FAR} dev lo",
        ):
            self.hub.run("ip", *command.split())
        after = device_memory(self.hub)
        return {"setconf ms": taken, "KiB a peer": (after - before) * 1024 / self.count}

    def establish(self, stack: ExitStack) -> Figures:
        """Start the peers, which stay for the round; return what their sessions cost."""
        before = device_memory(self.hub), cpu_seconds(self.pids)
        command = self.peers.argv(sys.executable, active_sessions.__file__, str(self.count),
                                  self.keys.public, HUB_OUTSIDE)  # fmt: skip
        program = stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        stack.callback(program.terminate)
        assert program.stdout is not None
        found = json.loads(program.stdout.readline())
        after = device_memory(self.hub), cpu_seconds(self.pids)
        return {
            "without a session": found["without"],
            "CPU ms each": (after[1] - before[1]) * 1000 / self.count,
            "KiB each": (after[0] - before[0]) * 1024 / self.count,
        }

    def exchange(self, seconds: float) -> Figures:
        """Let all peers send and receive; meanwhile show the device."""
        with self._load("exchange", seconds) as measured:
            dumps = [self._show(WG["original"], "dump") for _ in range(SHOWS)]
            shown = {name: self._show(program) for name, program in WG.items()}
        gigabytes = 2 * measured["exchanges"] * active_load.SIZE / 1e9
        return {
            "Mbit/s, both ways": gigabytes * 8e3 / seconds,
            "hub's CPU s/GB": measured["cpu"] / gigabytes,
            "active peers": measured["active"],
            "wg show dump ms": statistics.median(dumps),
            "original wg show ms": shown["original"],
            "our wg show ms": shown["holloway"],
            "MiB": device_memory(self.hub),
        }

    def churn(self, seconds: float) -> Figures:
        """Send numbered datagrams there and back, while other peers come and go."""
        ended, times, before = threading.Event(), list[float](), self._dropped()
        changing = threading.Thread(target=lambda: times.extend(self._change(ended)))
        with self._load("datagrams", seconds) as measured:
            changing.start()
            began = time.monotonic()
        ended.set()
        changing.join()
        took = time.monotonic() - began
        return {
            "datagrams": measured["sent"],
            "lost": measured["lost"],
            "dropped before a device": self._dropped() - before,
            "twice": measured["twice"],
            "peers added/s": len(times) * COME / took,
            "wg set ms": statistics.median(times),
            "CPU s/s": measured["cpu"] / seconds,
        }

    def _dropped(self) -> int:
        """Return the packets that found a queue full: of an interface, or of a UDP socket."""
        total = 0
        for host in (self.hub, self.peers):
            lines = host.run("cat", "/proc/net/dev", "/proc/net/snmp").stdout.splitlines()
            fields = {line.split()[0]: line.split() for line in lines}  # the last of each name
            total += int(fields["wg0:"][TRANSMIT_DROPPED]) + int(fields["Udp:"][RECEIVE_DROPPED])
        return total

    def _change(self, ended: threading.Event) -> Iterator[float]:
        """Add some peers and remove those before, again and again; yield the milliseconds."""
        began, gone, count = time.monotonic(), list[str](), 0
        while not ended.wait(max(0, began + count * TURN - time.monotonic())):
            come = [key() for _ in range(COME)]
            words = [word for one in gone for word in ("peer", one, "remove")]
            for number, one in enumerate(come):
                words += ["peer", one, "endpoint", "192.0.2.1:1", "allowed-ips",
                          f"10.90.{count % 250}.{number}/32"]  # fmt: skip
            yield milliseconds(self.hub, WG["original"], "set", "wg0", *words)
            gone, count = come, count + 1

    def _show(self, program: str, *what: str) -> float:
        return milliseconds(self.hub, program, "show", "wg0", *what)

    @contextmanager
    def _load(self, kind: str, seconds: float) -> Iterator[Figures]:
        """Run a load; the block runs while it is measured, and its figures are there afterwards."""
        networks = network_of(self.peers), network_of(self.hub)
        command = [sys.executable, active_load.__file__, kind, str(self.count), *networks,
                   str(seconds)]  # fmt: skip
        found: Figures = {}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
            assert program.stdout is not None
            assert program.stdout.readline() == "begin\n", "the load did not start"
            before = cpu_seconds(self.pids)
            yield found
            assert program.stdout.readline() == "end\n", "the load broke off"
            found["cpu"] = cpu_seconds(self.pids) - before
            found |= json.loads(program.stdout.read())

    def _configuration(self) -> Iterator[str]:
        yield f"[Interface]\nPrivateKey = {self.keys.private}\n"
        yield f"ListenPort = {active_sessions.PORT}\n"
        for number in range(self.count):
            high, low = number >> 8, number & 255
            more = [f"10.{net}.{high}.{low}/32" for net in range(101, 105)]
            more += [f"fd98:{net}:0:{number:x}::/64" for net in range(5)]
            allowed = ", ".join([active_sessions.near(number), *more])
            yield f"[Peer]\nPublicKey = {public_key(number)}\nAllowedIPs = {allowed}\n"


def one_round(device: str, peers: int, seconds: float, progress: Progress) -> dict[str, Figures]:
    """Measure one device."""
    results: dict[str, Figures] = {}
    with ExitStack() as stack:
        testbed = Testbed(device, peers, stack)
        for name, measure in (
            (CONFIGURATION, testbed.configure),
            (SESSIONS, lambda: testbed.establish(stack)),
            (EXCHANGE, lambda: testbed.exchange(seconds)),
            (CHURN, lambda: testbed.churn(seconds)),
        ):
            progress.begin(device, name)
            results[name] = measure()
    return results


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one round, two seconds a measure")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of each load, at most 30")
    parser.add_argument("--peers", type=int, default=10_000)
    parser.add_argument("--devices", default="holloway,wireguard-go")
    parser.add_argument("--out", type=Path, help="write all results to this file as JSON")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.seconds = options.seconds or (2 if options.quick else 10)
    return options


def main() -> int:
    """Measure, and return the exit status."""
    options = arguments()
    devices = options.devices.split(",")
    about = about_run(
        "active_peers.py",
        versions(devices),
        seconds=options.seconds,
        peers=options.peers,
        load=os.getloadavg()[0],
    )
    steps = [(device, name) for device in devices for name in MEASURES]
    progress = Progress(steps * options.rounds, guess=options.seconds)
    run = measure_in_turn(
        devices,
        options.rounds,
        progress,
        lambda device: one_round(device, options.peers, options.seconds, progress),
    )
    print(run.table())
    if options.out is not None:
        Report(run, about).write(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())

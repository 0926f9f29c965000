"""Side by side: TCP through our device and through others, interleaved in one run.

    python bench/compare.py [--rounds 5] [--seconds 5] [--devices holloway,wireguard-go] [--out F]

Two hosts in namespaces, joined by a veth pair; a device in each, iperf3 between them. The order
turns from round to round. Prints medians with their spread and the ratios to the last device,
writes everything as JSON. All processes share the machine's processors, so compare ratios of one
run, never a figure of one run with a figure of another.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from holloway.lab import Host, join
from hosts import WG, KeyPair, start_device

TICKS = os.sysconf("SC_CLK_TCK")
TESTS = {"tcp1": (), "tcp4": ("-P", "4"), "tcp1 reverse": ("-R",)}


class Tunnel:
    """Two hosts with a device each."""

    def __init__(self, device: str, stack: ExitStack) -> None:
        self.hosts = [stack.enter_context(Host(name)) for name in ("left", "right")]
        join(*self.hosts)
        keys = [self.key_pair() for _ in self.hosts]
        for number, host in enumerate(self.hosts, 1):
            other = 3 - number
            host.run("ip", "address", "add", f"10.99.0.{number}/24", "dev", "eth0")
            start_device(host, device, "wg0")
            host.write("/run/wg0.conf", "\n".join((
                "[Interface]", f"PrivateKey = {keys[number - 1].private}", "ListenPort = 51820",
                "[Peer]", f"PublicKey = {keys[other - 1].public}",
                f"AllowedIPs = 10.98.0.{other}/32", f"Endpoint = 10.99.0.{other}:51820",
            )) + "\n")  # fmt: skip
            host.run(WG["original"], "setconf", "wg0", "/run/wg0.conf")
            host.run("ip", "address", "add", f"10.98.0.{number}/24", "dev", "wg0")
            host.run("ip", "link", "set", "wg0", "mtu", "1420", "up")
        self.hosts[0].run("ping", "-c", "1", "-W", "5", "10.98.0.2")

    def key_pair(self) -> KeyPair:
        private = self.hosts[0].run(WG["original"], "genkey").stdout.strip()
        public = self.hosts[0].run(WG["original"], "pubkey", stdin=private).stdout.strip()
        return KeyPair(private, public)

    def device_seconds(self) -> float:
        """CPU seconds that the two device processes have used."""
        script = (
            "for p in /proc/[0-9]*; do case $(cat $p/comm 2>/dev/null) in"
            " holloway-devic*|wireguard-go|boringtun-cli|python*)"
            " cut -d')' -f2 $p/stat;; esac; done"
        )
        total = 0
        for host in self.hosts:
            for line in host.run("sh", "-c", script).stdout.splitlines():
                fields = line.split()
                total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def iperf(self, seconds: int, *options: str) -> dict[str, float]:
        left, right = self.hosts
        server = right.popen("iperf3", "-s", "-1", "-B", "10.98.0.2", "--forceflush")
        assert server.stdout is not None
        while "Server listening" not in server.stdout.readline():
            pass
        before = self.device_seconds()
        shown = left.run("iperf3", "-J", "-c", "10.98.0.2", "-t", str(seconds), *options)
        used = self.device_seconds() - before
        server.communicate(timeout=20)
        end = json.loads(shown.stdout)["end"]
        gigabytes = end["sum_received"]["bytes"] / 1e9
        return {
            "Mbit/s": end["sum_received"]["bits_per_second"] / 1e6,
            "devices' CPU s/GB": used / gigabytes,
            "retransmits": end["sum_sent"]["retransmits"],
        }


def one_round(device: str, seconds: int) -> dict[str, dict[str, float]]:
    with ExitStack() as stack:
        tunnel = Tunnel(device, stack)
        return {name: tunnel.iperf(seconds, *options) for name, options in TESTS.items()}


def table(rounds: list[dict[str, Any]], devices: list[str]) -> str:
    """Medians [least-greatest], and each device's ratio to the last one."""
    lines = [
        f"| median [min-max] | {' | '.join(devices)} | ratio |",
        "|---" * (len(devices) + 2) + "|",
    ]
    for test in TESTS:
        for figure in ("Mbit/s", "devices' CPU s/GB", "retransmits"):
            values = {
                device: [r["results"][test][figure] for r in rounds if r["device"] == device]
                for device in devices
            }
            medians = {device: statistics.median(v) for device, v in values.items()}
            cells = [
                f"{medians[d]:.4g} [{min(values[d]):.4g}-{max(values[d]):.4g}]" for d in devices
            ]
            last = medians[devices[-1]]
            ratio = f"{medians[devices[0]] / last:.2f}" if last else "-"
            lines.append(f"| {test}, {figure} | {' | '.join(cells)} | {ratio} |")
    return "\n".join(lines)


def processor() -> str:
    """Name the machine's processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--devices", default="holloway,wireguard-go")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    devices = options.devices.split(",")
    rounds: list[dict[str, Any]] = []
    for number in range(options.rounds):
        turn = number % len(devices)
        for device in devices[turn:] + devices[:turn]:
            results = one_round(device, options.seconds)
            rounds.append({"device": device, "results": results})
            speeds = ", ".join(f"{test} {r['Mbit/s']:.0f} Mbit/s" for test, r in results.items())
            print(f"round {number + 1} of {options.rounds}: {device}: {speeds}", file=sys.stderr)
    print(table(rounds, devices))
    if options.out is not None:
        machine = {
            "kernel": platform.release(),
            "processor": processor(),
            "processors": os.cpu_count(),
        }
        report = {"machine": machine, "seconds": options.seconds, "rounds": rounds}
        options.out.write_text(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The measures: each is a function from a `Tunnel` to named figures.

Figures whose name ends in `/s` are better when larger, all others when smaller.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from many_peers import many_peers
from reconnect import reconnect
from tunnel import Tunnel

if TYPE_CHECKING:
    from collections.abc import Callable

Figures = dict[str, float]
OVERHEAD = 32  # of a transport message (paper, 5.4.6)
HEADERS = 28  # IPv4 and UDP
IPV6 = "fd98::2"
CUBIC = ("-C", "cubic")
"""Options of iperf3: the kernel's default congestion control, because machines' settings differ."""
RECEIVED = "Mbit/s"
CPU = "CPU s/GB"


def tcp(*options: str, address: str = "10.98.0.2") -> Callable[[Tunnel, int], Figures]:
    """Measure a TCP transfer, with the CPU time of both devices and of both iperf3."""

    def measure(tunnel: Tunnel, seconds: int) -> Figures:
        end = tunnel.iperf(address, *CUBIC, "-t", str(seconds), *options)
        gigabytes = end["sum_received"]["bytes"] / 1e9
        shares = end["cpu_utilization_percent"]
        load = (shares["host_total"] + shares["remote_total"]) / 100 * end["sum_sent"]["seconds"]
        return {
            RECEIVED: end["sum_received"]["bits_per_second"] / 1e6,
            CPU: end["cpu"] / gigabytes,
            "iperf3's CPU s/GB": load / gigabytes,
            "retransmits": end["sum_sent"]["retransmits"],
        }

    return measure


def udp(size: int) -> Callable[[Tunnel, int], Figures]:
    """Measure UDP from one sender at full speed, without segmentation in the application.

    The figure counts what the far device received and passed on. How much of it iperf3 reads
    depends more on which process gets the processors.
    """
    datagram = OVERHEAD + -(-(HEADERS + size) // 16) * 16

    def measure(tunnel: Tunnel, seconds: int) -> Figures:
        before = tunnel.received(2)
        end = tunnel.iperf("10.98.0.2", "-u", "-b", "0", "-l", str(size), "-t", str(seconds))
        packets = (tunnel.received(2) - before) / datagram
        return {
            "packets passed on/s": packets / end["sum"]["seconds"],
            "CPU us/packet": end["cpu"] / packets * 1e6,
        }

    return measure


def idle(tunnel: Tunnel, seconds: int) -> Figures:
    """Measure a tunnel with a session and no traffic."""
    time.sleep(0.5)
    before = tunnel.switches()
    time.sleep(seconds)
    switches = tunnel.switches() - before
    return {"context switches a second": switches / seconds, "MiB": tunnel.memory()}


def latency(tunnel: Tunnel, seconds: int) -> Figures:
    """Measure round trips on an idle tunnel, and during a TCP transfer, at full speed (loaded) and
    at 300 Mbit/s.
    """
    return {
        **_round_trips("idle", tunnel.ping(250 * seconds)),
        **_round_trips("loaded", _beside_tcp(tunnel, seconds)),
        **_round_trips("beside 300 Mbit/s", _beside_tcp(tunnel, seconds, "-b", "300M")),
    }


def _beside_tcp(tunnel: Tunnel, seconds: int, *options: str) -> list[float]:
    client = ["iperf3", *CUBIC, "-c", "10.98.0.2", "-t", str(seconds), *options]
    with tunnel.iperf_server("10.98.0.2"):
        left = tunnel.hosts[0].popen(*client)
        time.sleep(0.3)
        times = tunnel.ping(300 * seconds)
        left.communicate(timeout=60)
    return times


def _round_trips(name: str, times: list[float]) -> Figures:
    return {
        f"{name} median ms": statistics.median(times),
        f"{name} 99 % ms": times[len(times) * 99 // 100],
    }


def first_handshake(tunnel: Tunnel, seconds: int) -> Figures:
    """Measure the first ping to a new peer: a handshake, and data in both directions."""
    times = []
    for _ in range(3 * seconds):
        for number in (1, 2):
            tunnel.remove_peer(number)
        for number in (2, 1):
            tunnel.add_peer(number)
        shown = tunnel.hosts[0].run("ping", "-n", "-c", "1", "-W", "6", "10.98.0.2").stdout
        times.append(float(shown.partition("time=")[2].split()[0]))
    return {"median ms": statistics.median(times)}


def handshakes(tunnel: Tunnel, seconds: int) -> Figures:
    """Send initiations of many peers at once, and measure how many a second the right device
    answers.

    The rate is valid only if nearly all are answered: a device that drops most is not fast.
    """
    program = Path(__file__).parent / "handshakes.py"
    peers = 400 * seconds
    command = [sys.executable, str(program), "peers", str(peers)]
    config = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    tunnel.hosts[1].write("/run/peers.conf", config)
    tunnel.wg(2, "addconf", "wg0", "/run/peers.conf")
    before = tunnel.cpu_seconds()
    shown = tunnel.hosts[0].run(sys.executable, str(program), "call", str(peers),
                                tunnel.keys[1].public, "10.99.0.2", timeout=120)  # fmt: skip
    used = tunnel.cpu_seconds() - before
    found: Figures = json.loads(shown.stdout)
    found["CPU us/answer"] = used / max(1, peers - found["unanswered"]) * 1e6
    if found["unanswered"] > peers / 20:
        del found["answers/s"], found["CPU us/answer"]
    return found | {"unanswered %": found.pop("unanswered") / peers * 100}


def memory(tunnel: Tunnel, seconds: int) -> Figures:
    """Measure the peak memory of the device process after the preceding measures."""
    del seconds
    return {"peak MiB": tunnel.peak_memory()}


MEASURES: dict[str, Callable[[Tunnel, int], Figures]] = {
    "idle": idle,
    "first handshake": first_handshake,
    "latency": latency,
    "TCP, 1 stream": tcp(),
    "TCP, 1 stream, reverse": tcp("-R"),
    "TCP, 4 streams": tcp("-P", "4"),
    "TCP, 4 streams, reverse": tcp("-P", "4", "-R"),
    "TCP over IPv6, 1 stream": tcp(address=IPV6),
    "TCP over IPv6, 1 stream, reverse": tcp("-R", address=IPV6),
    "TCP over IPv6, 4 streams": tcp("-P", "4", address=IPV6),
    "TCP over IPv6, 4 streams, reverse": tcp("-P", "4", "-R", address=IPV6),
    "UDP, 1300 bytes": udp(1300),
    "UDP, 64 bytes": udp(64),
    "memory after traffic": memory,
    "handshakes": handshakes,
    "10000 clients at once": reconnect(10_000),
    "1000 peers": many_peers(1000),
    "10000 peers": many_peers(10_000),
}

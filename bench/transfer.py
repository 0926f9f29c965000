"""Gigabytes through one tunnel, in both directions at once: the received bytes equal the sent ones,
and TCP receives every segment in order.

    python bench/transfer.py [--gigabytes 10] [--device holloway]

The link neither loses nor delays packets. Exits with status 1 if a hash differs or a segment
arrived out of order.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunnel import IMPLEMENTATIONS, Tunnel

from hosts import program, result

if TYPE_CHECKING:
    from holloway.lab import Host

REORDERED = ("TCPOFOQueue", "TCPSACKReorder", "TCPRenoReorder", "TCPTSReorder")
"""Counters of net/ipv4/proc.c: segments received out of order, and reordering seen by senders."""
ADDRESSES = {4: ("10.98.0.1", "10.98.0.2"), 6: ("fd98::1", "fd98::2")}


@dataclass(frozen=True)
class Outcome:
    """The result of two transfers, and what both hosts' TCP counted during them."""

    unchanged: bool
    reordered: dict[str, int]
    retransmitted: int
    megabits_a_second: float


def transfer(tunnel: Tunnel, megabytes: int, version: int = 4) -> Outcome:
    """Send `megabytes` from each host to the other."""
    before, started = [counters(host) for host in tunnel.hosts], time.monotonic()
    receiving, sending = [], []
    for receiver, sender, address in zip(
        tunnel.hosts, tunnel.hosts[::-1], ADDRESSES[version], strict=True
    ):
        receiving.append(program(receiver, "tcp_receive", address, "5000"))
        sending.append(program(sender, "tcp_send", address, "5000", str(megabytes)))
    sent, received = ([result(one) for one in ends] for ends in (sending, receiving))
    took = time.monotonic() - started
    grown = dict.fromkeys((*REORDERED, "RetransSegs"), 0)
    for host, first in zip(tunnel.hosts, before, strict=True):
        last = counters(host)
        grown = {name: grown[name] + last[name] - first[name] for name in grown}
    retransmitted = grown.pop("RetransSegs")
    rate = 2 * megabytes * 8.388608 / took
    return Outcome(sent == received, grown, retransmitted, rate)


def counters(host: Host) -> dict[str, int]:
    """Return the counters of a host's TCP."""
    lines = host.run("cat", "/proc/net/snmp", "/proc/net/netstat").stdout.splitlines()
    found: dict[str, int] = {}
    for names, values in zip(lines[::2], lines[1::2], strict=True):
        if names.startswith(("Tcp:", "TcpExt:")):
            found |= zip(names.split()[1:], map(int, values.split()[1:]), strict=True)
    return found


def main() -> int:
    """Transfer, and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gigabytes", type=float, default=10)
    parser.add_argument("--device", choices=IMPLEMENTATIONS, default="holloway")
    options = parser.parse_args()
    with ExitStack() as stack:
        tunnel = Tunnel(options.device, stack)
        outcome = transfer(tunnel, int(options.gigabytes * 1e9) >> 20)
    print(f"{options.gigabytes:g} GB each way at {outcome.megabits_a_second:.0f} Mbit/s in all")
    print("hashes:", "equal" if outcome.unchanged else "DIFFERENT")
    print(
        "out of order:", ", ".join(f"{name} {count}" for name, count in outcome.reordered.items())
    )
    print("retransmitted segments:", outcome.retransmitted)
    return 0 if outcome.unchanged and not any(outcome.reordered.values()) else 1


if __name__ == "__main__":
    sys.exit(main())

"""A long run: bulk TCP in both directions and ten pings a second through one tunnel.

    python bench/soak.py [--seconds 600]

Prints lost pings, handshakes, transferred megabytes and the growth of the devices' memory. Exits
with status 1 if a ping was lost, if a session was not renewed in time, or if memory kept growing.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from contextlib import ExitStack

from tunnel import Tunnel

REKEY_AFTER_SECONDS = 120  # paper, 6.1
GROWTH_KIB = 4096
"""The most that a device may grow after it is warm."""


def memory(tunnel: Tunnel) -> list[int]:
    """Return the resident KiB of the device on each host."""
    script = "grep -h VmRSS $(grep -l holloway-devic /proc/[0-9]*/comm | sed s/comm/status/)"
    shown = [host.run("sh", "-c", script).stdout for host in tunnel.hosts]
    return [int(text.split()[1]) for text in shown]


def main() -> int:
    """Run, and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=600)
    seconds = parser.parse_args().seconds
    with ExitStack() as stack:
        tunnel = Tunnel("holloway", stack)
        left = tunnel.hosts[0]
        stack.enter_context(tunnel.iperf_server("10.98.0.2"))
        bulk = left.popen("iperf3", "-c", "10.98.0.2", "-t", str(seconds), "--bidir", "-f", "m")
        ping = left.popen("ping", "-n", "-q", "-i", "0.1", "-w", str(seconds), "10.98.0.2")
        handshakes, warm, grown = set(), memory(tunnel), [0, 0]
        started = time.monotonic()
        while ping.poll() is None:
            time.sleep(5)
            shown = left.run("wg", "show", "wg0", "latest-handshakes").stdout
            handshakes.add(shown.split()[1])
            if time.monotonic() - started < min(60, seconds / 4):
                warm = memory(tunnel)
            grown = [now - before for now, before in zip(memory(tunnel), warm, strict=True)]
            print(f"{time.monotonic() - started:.0f} s: {len(handshakes)} handshakes,"
                  f" memory {grown} KiB since it was warm", file=sys.stderr)  # fmt: skip
        sent, received = map(int, re.findall(r"(\d+) (?:packets|received)", ping.communicate()[0]))
        print(bulk.communicate(timeout=60)[0].strip().splitlines()[-3:])
    print(f"pings lost: {sent - received} of {sent}")
    print(f"handshakes: {len(handshakes)}")
    print(f"memory grew by {grown} KiB")
    renewed = len(handshakes) >= seconds // (REKEY_AFTER_SECONDS + 15)
    return 0 if sent == received and renewed and max(grown) < GROWTH_KIB else 1


if __name__ == "__main__":
    sys.exit(main())

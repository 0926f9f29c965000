"""Suspends the guest or sets its wall clock, and measures when tunnels answer again.

    clocks.py suspend SECONDS ADDRESS...      sleep to memory; the real-time clock wakes the machine
    clocks.py wall SECONDS ADDRESS...         move the wall clock

Run in the guest by `guest.mishaps`. Prints as JSON, for each address, the seconds until it first
answers a ping, or null.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import sys
import time
from pathlib import Path

ALARM = Path("/sys/class/rtc/rtc0/wakealarm")
INTERVAL_SECONDS = 0.02
LIMIT_SECONDS = 60.0
ECHO_REQUEST, ECHO_REPLY = 8, 0


def suspend(seconds: str, *addresses: str) -> dict[str, float | None]:
    """Sleep and wake up with the sessions that there were."""
    asleep = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
    ALARM.write_text("0")
    ALARM.write_text(f"+{seconds}")
    Path("/sys/power/state").write_text("mem")
    asleep = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic() - asleep
    assert asleep > int(seconds) - 5, f"it slept {asleep} seconds"
    return first_answers(addresses)


def wall(seconds: str, *addresses: str) -> dict[str, float | None]:
    """Move the wall clock."""
    time.clock_settime(time.CLOCK_REALTIME, time.time() + int(seconds))
    return first_answers(addresses)


def first_answers(addresses: tuple[str, ...]) -> dict[str, float | None]:
    """Ping all addresses until each has answered, or the limit is reached."""
    found: dict[str, float | None] = dict.fromkeys(addresses)
    identifier = os.getpid() & 0xFFFF
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as pinging:
        began = time.monotonic()
        while None in found.values() and time.monotonic() < began + LIMIT_SECONDS:
            for address in [address for address, seconds in found.items() if seconds is None]:
                try:
                    pinging.sendto(echo_request(identifier), (address, 0))
                except OSError:
                    continue
            until = time.monotonic() + INTERVAL_SECONDS
            while select.select([pinging], [], [], max(0.0, until - time.monotonic()))[0]:
                packet, (address, _) = pinging.recvfrom(2048)
                kind, _, _, answered = struct.unpack_from("!BBHH", packet, (packet[0] & 15) * 4)
                if (kind, answered) == (ECHO_REPLY, identifier) and found.get(address, 0) is None:
                    found[address] = time.monotonic() - began
    return found


def echo_request(identifier: int) -> bytes:
    """Return an ICMP echo request without data."""
    total = (ECHO_REQUEST << 8) + identifier
    checksum = ~(total + (total >> 16)) & 0xFFFF
    return struct.pack("!BBHHH", ECHO_REQUEST, 0, checksum, identifier, 0)


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))

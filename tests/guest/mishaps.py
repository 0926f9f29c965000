"""Mishaps of a whole machine: it is suspended, or its wall clock is set.

No namespace has a wall clock of its own, and none can be suspended, so the devices are in a guest.
Each has a peer in the host outside, whose clocks go on. For tests and for `bench/clocks.py`.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

from guest.machine import OURS, TAP
from holloway.key import Key
from hosts import BIN, PEERS, REPOSITORY, WG, start_device

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guest.machine import Machine

START = {
    "holloway": f"PATH={OURS} holloway-device {{}}",
    "kernel": "ip link add {} type wireguard",
    "wireguard-go": f"WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1 {PEERS}/wireguard-go {{}}",
}
CLOCKS = (str(BIN / "python"), str(REPOSITORY / "tests/guest/clocks.py"))
YEAR = 365 * 86_400
QUIET_SECONDS = 20
SOON = 300
"""Seconds within which a mishap ends, beside the suspension."""


class Devices:
    """Devices in the guest. Device N is wgN there, 10.78.N.2, and its peer outside 10.78.N.1."""

    def __init__(self, machine: Machine, devices: Sequence[str]) -> None:
        self.machine, self.devices = machine, devices
        self.keys = [Key(os.urandom(32)).clamped() for _ in devices]
        outside = Key(os.urandom(32)).clamped()
        machine.host.run("ip", "address", "add", "10.77.0.1/24", "dev", TAP)
        machine.must("sh", "-c", "ip address add 10.77.0.2/24 dev eth0; ip link set eth0 up")
        start_device(machine.host, "holloway", "wg0")
        machine.host.write("/run/key", outside.base64)
        machine.host.run(WG["original"], "set", "wg0", "private-key", "/run/key",
                         "listen-port", "51820")  # fmt: skip
        machine.host.run("ip", "link", "set", "wg0", "up")
        self.forget_outside()
        for number, (device, key) in enumerate(zip(devices, self.keys, strict=True)):
            machine.host.run("ip", "address", "add", f"10.78.{number}.1/24", "dev", "wg0")
            machine.write("/run/key", key.base64)
            machine.must(
                "sh", "-ec",
                START[device].format(f"wg{number}") + " >/dev/null 2>&1\n"
                f"wg set wg{number} private-key /run/key peer {outside.public().base64}"
                f" endpoint 10.77.0.1:51820 allowed-ips 10.78.{number}.1/32\n"
                f"ip address add 10.78.{number}.2/24 dev wg{number}\n"
                f"ip link set wg{number} up\n"
                f"ping -c 1 -W 20 10.78.{number}.1",
            )  # fmt: skip

    def close(self) -> None:
        """Remove the devices and the addresses."""
        for number in range(len(self.devices)):
            self.machine.run("ip", "link", "delete", f"wg{number}")
        self.machine.run("sh", "-c", "ip address flush dev eth0; ip link set eth0 down")
        self.machine.host.run("ip", "link", "delete", "wg0")
        self.machine.host.run("ip", "address", "flush", "dev", TAP)

    def forget_outside(self) -> None:
        """Make the peers outside forget all timestamps, also those from the future."""
        for number, key in enumerate(self.keys):
            peer = (WG["original"], "set", "wg0", "peer", key.public().base64)
            self.machine.host.run(*peer, "remove")
            self.machine.host.run(*peer, "allowed-ips", f"10.78.{number}.2/32")

    def suspend(self, seconds: int) -> dict[str, float | None]:
        """Suspend the machine; return the seconds from waking up to the first answer."""
        return self._measure("suspend", seconds)

    def set_wall(self, seconds: int) -> dict[str, float | None]:
        """Move the wall clock, when the far side has lost its sessions.

        The devices notice that after 15 seconds without an answer, and begin new ones. Returns the
        seconds to the first answer, or None for a device that stays out.
        """
        # After that, the far side expects nothing, and does not begin a handshake by itself.
        time.sleep(QUIET_SECONDS)
        for state in ("down", "up"):
            self.machine.host.run("ip", "link", "set", "wg0", state)
        return self._measure("wall", seconds)

    def _measure(self, what: str, seconds: int) -> dict[str, float | None]:
        addresses = [f"10.78.{number}.1" for number in range(len(self.devices))]
        limit = SOON + (seconds if what == "suspend" else 0)
        shown = self.machine.must(*CLOCKS, what, str(seconds), *addresses, seconds=limit)
        found = json.loads(shown)
        return dict(zip(self.devices, (found[address] for address in addresses), strict=True))

"""Both `wg` programs in one host with a scripted device, to compare their behaviour."""

from __future__ import annotations

import os
import subprocess
from base64 import b64encode
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from holloway.errors import without_keys
from hosts import WG

if TYPE_CHECKING:
    from holloway.lab import Host
    from scripted_device import ScriptedDevice

ORIGINAL = ["env", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "wg"]
OURS = [WG["holloway"]]

ALLOWED_IPS_USAGE = (
    "[allowed-ips <ip1>/<cidr1>[,<ip2>/<cidr2>]...]",
    "[allowed-ips [+|-]<ip1>/<cidr1>[,[+|-]<ip2>/<cidr2>]...]",
)
"""The part of `wg set`'s usage about allowed IPs, in 2021 and since it has increments."""

PRIVATE, PA, PB, PC = (b64encode(bytes([n]) * 32).decode() for n in (72, 5, 9, 1))
HEX_A, HEX_B, HEX_C = ("05" * 32, "09" * 32, "01" * 32)
ZERO = "0" * 64
FULL = f"""private_key={"48" * 32}
listen_port=51000
fwmark=51820
public_key={HEX_C}
protocol_version=1
public_key={HEX_A}
preshared_key={"11" * 32}
endpoint=10.172.196.106:51000
last_handshake_time_sec=1234567890
last_handshake_time_nsec=5
tx_bytes=2867
rx_bytes=3133
persistent_keepalive_interval=25
allowed_ip=10.10.11.2/32
allowed_ip=fd00::2/128
something_new=7
public_key={HEX_B}
preshared_key={ZERO}
endpoint=[fe80::1%lo]:9
last_handshake_time_sec=9999999999
tx_bytes=1023
rx_bytes=1099511627776
persistent_keepalive_interval=3661
allowed_ip=0.0.0.0/0
errno=0

"""


def without(*keys: str) -> str:
    """Return the full answer without the lines of some keys."""
    lines = FULL.splitlines(keepends=True)
    return "".join(line for line in lines if line.partition("=")[0] not in keys)


@dataclass(frozen=True)
class Outcome:
    """The observable results of a run of `wg`."""

    status: int
    output: bytes
    errors: bytes
    requests: list[str]


@dataclass
class Pair:
    """Both programs in one host, with one scripted device `hw0`."""

    host: Host
    device: ScriptedDevice

    def run(self, program: list[str], *arguments: str, stdin: bytes = b"", **env: str) -> Outcome:
        self.device.requests.clear()
        done = subprocess.run(self.host.argv(*program, *arguments), input=stdin,
                              capture_output=True, check=False, env=os.environ | env)  # fmt: skip
        return Outcome(done.returncode, done.stdout, done.stderr, list(self.device.requests))

    def equal(self, *arguments: str, stdin: bytes = b"", **env: str) -> Outcome:
        """Run both, check that the outcomes are equal, and return the outcome.

        Our errors contain no key (docs/decisions/0017-secrets-are-not-echoed.md).
        """
        theirs = self.run(ORIGINAL, *arguments, stdin=stdin, **env)
        shown = without_keys(os.fsdecode(theirs.errors))
        theirs = replace(theirs, errors=os.fsencode(shown))
        ours = self.run(OURS, *arguments, stdin=stdin, **env)
        assert ours == theirs, arguments
        return ours

    def path(self, name: str) -> str:
        return f"/proc/{self.host.pid}/root/run/wireguard/{name}.sock"

"""Every system call of a device at work, traced: the filter refuses none of them.

strace(1) sees the calls of the device, its monitor and all their threads. Two devices, whose
interfaces are in namespaces of their own, do all that a device does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from holloway.lab import Host
from hosts import DEVICES, WG, eventually, key_pair, program, start_device
from root.test_device import talk

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.slow]

REQUESTS = [
    "get=1", "discards=1", "log=error", "log=verbose", "log=follow", "set=1\nfwmark=8",
    "set=1\nlisten_port=6", "set=1\nbogus=1", "nonsense",
]  # fmt: skip
INSTALLED = "seccomp(SECCOMP_SET_MODE_FILTER"


@dataclass
class Traced:
    """A device under strace, and what it called once both filters were installed."""

    host: Host
    process: subprocess.Popen[str]

    def calls(self) -> list[str]:
        lines = self.host.run("cat", "/run/trace").stdout.splitlines()
        # The monitor has no filter, and so confines itself without one.
        first, second = (place for place, line in enumerate(lines) if INSTALLED in line)
        device = lines[first].split()[0]
        confined = {line.split()[0] for line in lines if "PR_SET_DUMPABLE" in line}
        (monitor,) = confined - {device}
        return [line for line in lines[second + 1 :] if line.split()[0] != monitor]


@pytest.fixture(scope="module")
def traced() -> Iterator[list[str]]:
    with Host("traced") as host:
        traced_by = ["strace", "-f", "-o", "/run/trace"]
        device = [*DEVICES["holloway"], "-f", "wg1"]
        process = host.popen(*traced_by, *device, environment={"LOG_LEVEL": "verbose"})
        assert eventually(lambda: "wg1.sock" in host.run("ls", "/run/wireguard").stdout)
        work(host)
        host.run("ip", "netns", "exec", "ns1", "ip", "link", "del", "wg9")
        process.communicate(timeout=60)
        yield Traced(host, process).calls()


def work(host: Host) -> None:
    """Have the device wg1 do all that a device does."""
    start_device(host, "holloway", "wg2")
    keys = {number: key_pair(host) for number in (1, 2)}
    for number in (1, 2):
        host.run("ip", "netns", "add", f"ns{number}")
        host.run("ip", "link", "set", f"wg{number}", "netns", f"ns{number}")
        host.write("/run/key", keys[number].private)
        inside(host, number, WG["original"], "set", f"wg{number}", "private-key", "/run/key",
                 "listen-port", str(number), "fwmark", "7", "peer", keys[3 - number].public,
                 "endpoint", f"127.0.0.1:{3 - number}", "persistent-keepalive", "1",
                 "allowed-ips", f"10.0.0.{3 - number}/32")  # fmt: skip
        inside(host, number, "ip", "addr", "add", f"10.0.0.{number}/24", "dev", f"wg{number}")
        inside(host, number, "ip", "link", "set", "lo", "up")
        inside(host, number, "ip", "link", "set", f"wg{number}", "up", "mtu", "1400")
    assert " 0% packet loss" in inside(host, 1, "ping", "-c", "3", "-i", "0.1", "10.0.0.2")
    assert "Unreachable" in inside(host, 1, "ping", "-c", "1", "-W", "1", "10.0.0.9")
    # More at once than one batch, both ways.
    inside(host, 1, "ping", "-c", "500", "-f", "-s", "60000", "10.0.0.2")
    host.run("ip", "address", "add", "127.9.9.9/8", "dev", "lo")  # the routes are checked
    host.run("ip", "link", "set", "lo", "mtu", "30000")
    taken = program(host, "udp_receive", "0.0.0.0", "5555", "1")
    assert "errno=-98" in talk(host, "set=1\nlisten_port=5555\n\n", "wg1")
    taken.communicate()
    for request in REQUESTS:
        talk(host, f"{request}\n\n", "wg1")
    for state in ("down", "up", "down"):
        inside(host, 1, "ip", "link", "set", "wg1", state)
    inside(host, 1, "ip", "link", "set", "wg1", "name", "wg9")
    inside(host, 1, "ip", "link", "set", "wg9", "up")
    assert " 0% packet loss" in inside(host, 1, "ping", "-c", "1", "10.0.0.2")


def inside(host: Host, number: int, *command: str) -> str:
    done = host.run("ip", "netns", "exec", f"ns{number}", *command, check=False)
    assert not done.stderr, done.stderr
    return done.stdout


def test_the_filter_refuses_nothing_that_a_device_calls(traced: list[str]) -> None:
    assert len(traced) > 1000
    refused = [line for line in traced if "ENOSYS" in line or "SIGSYS" in line]
    # For the C library there is no clone3, with arguments that a filter cannot see.
    assert [line for line in refused if "clone3" not in line] == []


def test_a_confined_device_loads_and_reads_no_file_but_the_time_zone(traced: list[str]) -> None:
    """Its user may be unable to: Python itself may be in a home directory."""
    opened = {name for line in traced for name in re.findall(r'open(?:at)?\([^"]*"([^"]*)"', line)}
    assert opened <= {"/etc/localtime"}

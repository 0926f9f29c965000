"""The demo shows what it promises, and leaves nothing, also when it is interrupted or killed.

It runs inside a host of its own, so that all that could be left behind is in sight.
"""

from __future__ import annotations

import re
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from holloway.lab import Host
from hosts import BIN, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

DEMO = [str(BIN / "holloway"), "demo"]


@pytest.fixture
def machine() -> Iterator[Host]:
    with Host("machine") as host:
        yield host


def state(machine: Host) -> str:
    """What could be left behind: links, named namespaces, sockets, mounts, processes."""
    look = (
        "ip -br link; ls /run/netns /run/wireguard /etc/wireguard; cat /proc/1/mounts;"
        r" ps -eo args | grep -vE '^\[?(ps|sh|grep)[] ]'"
    )
    return machine.run("sh", "-c", look).stdout


def start_until(machine: Host, line: str) -> subprocess.Popen[str]:
    """Start the demo and read it until it prints a line."""
    demo = machine.popen(*DEMO)
    assert demo.stdout is not None
    for shown in demo.stdout:
        if line in shown:
            return demo
    raise AssertionError(demo.communicate()[1])


def test_it_shows_every_step_and_leaves_nothing(machine: Host) -> None:
    before = state(machine)
    done = machine.run(*DEMO, check=False)
    assert done.returncode == 0, done.stderr
    shown = done.stdout
    for step in ("[#] ip -4 address add 10.10.11.2/24 dev home0",
                 "[#] ip -4 route add 10.10.10.0/24 dev home0",
                 "allowed ips: 10.10.11.2/32", "latest handshake:", "0% packet loss",
                 "203.0.113.77:51000"):  # fmt: skip
        assert step in shown
    assert re.search(r"wg0, inside the tunnel: found in [1-9]\d* of \d+ packets", shown)
    assert re.search(r"eth0, on the wire: found in 0 of [1-9]\d* packets", shown)
    assert re.search(r"\d MB/s, [\d.]+ Gbit/s", shown)
    private_key = r"(?i)privatekey = (?!\(hidden\))"
    assert not re.search(private_key, shown)
    assert eventually(lambda: state(machine) == before)


@pytest.mark.parametrize("step", ["1  Keys", "wg-quick up home0", "5  Speed", "7  Down"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing(
    machine: Host, step: str, number: signal.Signals
) -> None:
    before = state(machine)
    demo = start_until(machine, step)
    machine.run("pkill", f"-{number}", "-f", "holloway demo$")
    output, errors = demo.communicate(timeout=20)
    assert demo.returncode == 130, errors
    assert "Interrupted" in output
    assert errors == ""
    assert eventually(lambda: state(machine) == before)


def test_a_killed_demo_leaves_nothing(machine: Host) -> None:
    before = state(machine)
    demo = start_until(machine, "3  First packets")
    machine.run("pkill", "-KILL", "-f", "holloway demo$")
    demo.communicate()
    assert eventually(lambda: state(machine) == before)

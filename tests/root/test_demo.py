"""The demo shows what it promises, and leaves nothing, also when it is interrupted or killed."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

import pytest

from hosts import BIN, eventually

pytestmark = pytest.mark.root

DEMO = [str(BIN / "holloway"), "demo"]


def machine() -> tuple[str, str, set[str]]:
    """What could be left behind: links, named namespaces and sockets, and our processes."""
    links = subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, check=True)
    names = subprocess.run(["ls", "/run/netns", "/run/wireguard"], capture_output=True, text=True,
                           check=False)  # fmt: skip
    processes = set()
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = command.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"holloway" in b" ".join(words[:3]) and b"pytest" not in b" ".join(words):
            processes.add(f"{command.parent.name} {words[:3]}")
    return links.stdout, names.stdout, processes


def start_until(line: str) -> subprocess.Popen[str]:
    """Start the demo and read it until it prints a line."""
    demo = subprocess.Popen(DEMO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert demo.stdout is not None
    for shown in demo.stdout:
        if line in shown:
            return demo
    raise AssertionError(demo.communicate()[1])


def test_it_shows_every_step_and_leaves_nothing() -> None:
    before = machine()
    done = subprocess.run(DEMO, capture_output=True, text=True, check=False, timeout=60)
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
    assert eventually(lambda: machine() == before)


@pytest.mark.parametrize("step", ["1  Keys", "wg-quick up home0", "6  Speed", "8  Down"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing(step: str, number: signal.Signals) -> None:
    before = machine()
    demo = start_until(step)
    demo.send_signal(number)
    output, errors = demo.communicate(timeout=20)
    assert demo.returncode == 130, errors
    assert "Interrupted" in output
    assert errors == ""
    assert eventually(lambda: machine() == before)


def test_a_killed_demo_leaves_nothing() -> None:
    before = machine()
    demo = start_until("4  First packets")
    demo.kill()
    demo.communicate()
    assert eventually(lambda: machine() == before)


def test_without_root_it_says_what_it_needs() -> None:
    command = ["setpriv", "--reuid", "65534", "--clear-groups", *DEMO]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "sudo holloway demo" in done.stdout

"""Whatever step fails or is interrupted, before or after it took effect: the host is as before."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from holloway.lab import Host
from quick_host import PEER_KEYS, QuickHost, peer, wire

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.root, pytest.mark.slow, pytest.mark.spread, pytest.mark.timeout(1200),
]  # fmt: skip

SCRIPT = str(Path(__file__).parent / "injected.py")
NOT_REACHED = 9
FULL = (
    "Address = 10.1.0.1/24, 10.1.0.2/24, fd00::1/64\nDNS = 10.1.0.53, home\nMTU = 1400\n"
    "PreUp = true\nPostUp = true; :\nPostUp = :"
)
PEERS = peer("0.0.0.0/0, ::/0, 10.2.0.0/16", "Endpoint = 192.0.2.7:1")
OTHER = "Address = 10.1.0.2/24, 10.7.0.1/24, fd00::2/64\nDNS = 10.1.0.54\nMTU = 1300"
OTHER_PEERS = peer("10.3.0.0/16", f"PresharedKey = {PEER_KEYS[3]}") + peer("::/0", number=1)
WAYS = ["fail-before", "fail-after", "signal-before", "signal-after"]


@pytest.fixture(scope="module")
def lab() -> Iterator[Host]:
    with Host("hwq-injected") as host:
        wire(host)
        yield host


@pytest.fixture(autouse=True)
def clean(lab: Host) -> Iterator[None]:
    yield
    QuickHost(lab).wg_quick("down", "wg0")
    lab.run("sh", "-c", "ip link delete dev wg0", check=False)


def injected(
    host: QuickHost, how: str, number: int, command: str
) -> subprocess.CompletedProcess[str]:
    return host.host.run(
        sys.executable, SCRIPT, how, str(number), command, "wg0",
        check=False, environment=host.variables(),
    )  # fmt: skip


@pytest.mark.parametrize("dns", ["file", "resolvconf", "resolvectl"])
@pytest.mark.parametrize("how", WAYS)
def test_an_up_that_breaks_anywhere_leaves_nothing(lab: Host, how: str, dns: str):
    host = with_dns(lab, dns)
    host.configure(FULL, PEERS)
    before = host.state()
    for number in range(1, 100):
        done = injected(host, how, number, "up")
        if done.returncode == NOT_REACHED:
            break
        assert done.returncode == 1, done.stderr
        reason = "injected" if how.startswith("fail") else "interrupted by SIGTERM"
        assert f"wg-quick: {reason}" in done.stderr
        assert "Traceback" not in done.stderr
        assert host.state() == before, done.stderr
    host.wg_quick("down", "wg0")
    assert number > 8


@pytest.mark.parametrize("how", WAYS)
def test_a_reload_that_breaks_anywhere_leaves_everything(lab: Host, how: str):
    host = with_dns(lab, "file")
    host.configure(FULL, PEERS)
    assert host.wg_quick("up", "wg0").returncode == 0
    host.configure(OTHER, OTHER_PEERS)
    before = looked_at(host)
    for number in range(1, 100):
        done = injected(host, how, number, "reload")
        if done.returncode == NOT_REACHED:
            break
        if done.returncode == 0:
            # The last of all changes is done in one go: a signal comes too late for it.
            assert how.startswith("signal")
            assert looked_at(host) != before
            continue
        assert done.returncode == 1, done.stderr
        assert "Traceback" not in done.stderr
        assert looked_at(host) == before, done.stderr
    host.wg_quick("down", "wg0")
    assert number > 4


@pytest.mark.parametrize("how", ["fail-before", "fail-after", "signal-before", "signal-after"])
def test_a_down_that_breaks_anywhere_removes_what_else_it_can(lab: Host, how: str):
    host = with_dns(lab, "file")
    host.configure(FULL, PEERS)
    before = host.state()
    for number in range(1, 100):
        assert host.wg_quick("up", "wg0").returncode == 0
        done = injected(host, how, number, "down")
        assert "Traceback" not in done.stderr
        # What could not be removed can be, the next time.
        host.wg_quick("down", "wg0")
        host.host.run("sh", "-c", "ip link delete dev wg0", check=False)
        if done.returncode == NOT_REACHED:
            break
    after = host.state()
    assert number > 3
    assert (
        after["ip -o -d address | sed 's/valid_lft.*//'"]
        == before["ip -o -d address | sed 's/valid_lft.*//'"]
    )


def with_dns(lab: Host, tool: str) -> QuickHost:
    """A host on which `tool` sets name servers."""
    lab.run("sh", "-c", "rm -rf /run/bin /run/systemd; mkdir -p /run/bin")
    lab.run("sh", "-c", "echo 0 >/proc/sys/net/ipv4/conf/all/src_valid_mark")
    host = QuickHost(lab)
    if tool != "file":
        lab.run("mkdir", "-p", "/run/systemd/resolve")
        lab.write(f"/run/bin/{tool}", "#!/bin/sh\nexit 0\n", 0o755)
    host.environment["PATH"] = f"/run/bin:{host.variables()['PATH']}"
    return host


def looked_at(host: QuickHost) -> dict[str, str]:
    """The state, without the numbers of rules and the order of tables, and the device."""
    state = host.state()
    rules = state["ip rule; ip -6 rule"].splitlines()
    state["ip rule; ip -6 rule"] = "\n".join(line.partition(":")[2] for line in rules)
    state["nft list ruleset"] = "\n".join(sorted(state["nft list ruleset"].splitlines()))
    state["device"] = host.host.run("wg", "showconf", "wg0").stdout
    return state

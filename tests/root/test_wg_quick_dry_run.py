"""`wg-quick up --dry-run` prints what `up` does, and does nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holloway.lab import Host
from quick_host import QuickHost, peer

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

CASES = {
    "nothing": ("", ""),
    "addresses": (
        "Address = 10.1.0.1/24, 10.2.0.1, fd00::1/64, fd01::1\nMTU = 1300",
        peer("10.1.0.0/24, 10.1.0.0/16, 10.2.0.1/32, fd00::/64, fd01::1/128, fd00::/16"),
    ),
    "path": ("Address = 10.1.0.1/31", peer("10.1.0.0/31", "Endpoint = 198.51.100.1:1")),
    "default routes": ("Address = 10.1.0.1/24\nDNS = 10.1.0.53, home", peer("0.0.0.0/0, ::/0")),
    "mark": ("FwMark = 77", peer("0.0.0.0/0")),
    "table": ("Table = 777\nPreUp = :\nPostUp = echo %i", peer("0.0.0.0/0, 10.3.0.0/16")),
}


@pytest.fixture(scope="module")
def lab() -> Iterator[Host]:
    with Host("hwq-dry") as host:
        host.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "far")
        for end in ("eth0", "far"):
            host.run("ip", "link", "set", end, "addrgenmode", "none", "up")
        host.run("ip", "address", "add", "192.0.2.1/24", "dev", "eth0")
        host.run("ip", "route", "add", "198.51.100.0/24", "via", "192.0.2.7", "mtu", "1458")
        yield host


@pytest.mark.parametrize("case", CASES)
def test_it_prints_what_up_prints(lab: Host, case: str):
    host = QuickHost(lab)
    host.configure(*CASES[case])
    before = host.state()
    dry = host.wg_quick("up", "--dry-run", "wg0")
    assert (dry.returncode, dry.stderr) == (0, "")
    assert host.state() == before
    up = host.wg_quick("up", "wg0")
    host.wg_quick("down", "wg0")
    assert dry.stdout == up.stderr


def test_it_says_what_up_would_refuse(lab: Host):
    host = QuickHost(lab)
    host.configure("MTU = 7", peer())
    dry, up = host.wg_quick("up", "--dry-run", "wg0"), host.wg_quick("up", "wg0")
    assert (dry.returncode, dry.stdout, dry.stderr) == (1, "", up.stderr)
    host.configure("", peer())
    assert host.wg_quick("up", "wg0").returncode == 0
    dry = host.wg_quick("up", "wg0", "--dry-run")
    host.wg_quick("down", "wg0")
    assert (dry.returncode, dry.stderr) == (1, "wg-quick: `wg0' already exists\n")


def test_no_hook_runs_and_no_secret_is_printed(lab: Host):
    host = QuickHost(lab)
    text = host.configure("PreUp = touch /run/ran", peer())
    dry = host.wg_quick("--dry-run", "up", "wg0")
    assert "[#] touch /run/ran" in dry.stdout
    assert text.splitlines()[1].split()[-1] not in dry.stdout
    assert lab.run("ls", "/run/ran", check=False).returncode != 0

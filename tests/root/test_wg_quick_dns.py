"""Name servers while an interface is up: by resolvconf, by resolvectl, or by a private file.

The programs are stand-ins that write down how they were called, for the real ones need daemons.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holloway.lab import Host
from quick_host import QuickHost, peer, steps

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.spread]

BEFORE = "nameserver 192.0.2.53\nsearch example.org\n"
DNS = "DNS = 10.48.0.5, fd00::53\nDNS = home, lan.example"
PRIVATE = "nameserver 10.48.0.5\nnameserver fd00::53\nsearch home lan.example\n"
MOUNT = "[#] mount --bind /run/wg-quick/wg0/resolv.conf /etc/resolv.conf"
UNMOUNT = "[#] umount /etc/resolv.conf"
STAND_IN = """#!/bin/sh
echo "$0 $*" >>/run/called
[ "$1" != -a ] || cat >>/run/called
case "$*" in *"$FAILING"*) exit 3;; esac
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Host]:
    with Host("hwq-dns") as host:
        host.run("sh", "-c", "mkdir -p /run/bin /run/wireguard; rm -f /etc/resolv.conf")
        host.write("/etc/resolv.conf", BEFORE, 0o644)
        yield host


@pytest.fixture
def host(lab: Host) -> Iterator[QuickHost]:
    lab.run("sh", "-c", "rm -rf /run/bin/* /run/called /run/systemd")
    # Our own programs first, then the stand-ins, then the system's.
    yield QuickHost(lab, environment={"PATH": f"/run/bin:{QuickHost(lab).variables()['PATH']}"})
    lab.run("sh", "-c", "umount -q -l /etc/resolv.conf; ip link del wg0", check=False)


def stand_in(host: QuickHost, name: str, failing: str = "never") -> None:
    script = STAND_IN.replace("$FAILING", failing)
    host.host.write(f"/run/bin/{name}", script, 0o755)


def called(host: QuickHost) -> list[str]:
    text = host.host.run("sh", "-c", "cat /run/called; rm -f /run/called", check=False).stdout
    return text.replace("/run/bin/", "").splitlines()


def resolv_conf(host: QuickHost) -> str:
    return host.host.run("cat", "/etc/resolv.conf", check=False).stdout


def test_resolvconf_is_called_as_by_the_original(host: QuickHost):
    stand_in(host, "resolvconf")
    host.configure(DNS, peer())
    host.host.run("sh", "-c", "mkdir -p /etc/resolvconf")
    said = {}
    for order in ("lo.inet*\ntun*\nvpn*\n", "eth*0\n"):
        host.host.write("/etc/resolvconf/interface-order", order)
        for quick, device in (("holloway", "holloway"), ("original", "wireguard-go")):
            each = QuickHost(host.host, quick, device, host.environment)
            up, down = each.wg_quick("up", "wg0"), each.wg_quick("down", "wg0")
            assert (up.returncode, down.returncode) == (0, 0), up.stderr + down.stderr
            said[quick] = (steps(up.stderr), down.stderr, called(host))
        assert said["holloway"] == said["original"]
    host.host.run("rm", "-r", "/etc/resolvconf")
    assert "resolvconf -a wg0 -m 0 -x" in said["holloway"][2]


def test_resolvectl_is_told_servers_and_that_they_know_every_name(host: QuickHost):
    stand_in(host, "resolvectl")
    host.host.run("mkdir", "-p", "/run/systemd/resolve")
    host.configure(DNS, peer())
    up, down = host.wg_quick("up", "wg0"), host.wg_quick("down", "wg0")
    assert (up.returncode, down.returncode) == (0, 0)
    expected = [
        "resolvectl dns wg0 10.48.0.5 fd00::53",
        "resolvectl domain wg0 ~. home lan.example",
        "resolvectl revert wg0",
    ]
    assert called(host) == expected
    assert [line for line in up.stderr.splitlines() if "resolvectl" in line] == [
        f"[#] {line}" for line in expected[:2]
    ]
    assert down.stderr.splitlines() == [f"[#] {expected[2]}", "[#] ip link delete dev wg0"]


def test_resolvectl_without_its_daemon_is_left_alone(host: QuickHost):
    stand_in(host, "resolvectl")
    host.configure(DNS, peer())
    host.wg_quick("up", "wg0")
    assert resolv_conf(host) == PRIVATE
    host.wg_quick("down", "wg0")
    assert called(host) == []


@pytest.mark.parametrize(
    ("program", "failing"), [("resolvconf", "-a"), ("resolvectl", "dns"), ("resolvectl", "domain")]
)
def test_a_program_that_fails_takes_everything_back(host: QuickHost, program: str, failing: str):
    stand_in(host, program, failing)
    host.host.run("mkdir", "-p", "/run/systemd/resolve")
    host.configure(DNS, peer())
    before = host.state()
    up = host.wg_quick("up", "wg0")
    assert up.returncode == 1
    assert f"wg-quick: {program} ended with exit code 3" in up.stderr
    last = "resolvconf -d wg0 -f" if program == "resolvconf" else "resolvectl revert wg0"
    assert called(host)[-1] == last
    assert host.state() == before


def test_without_either_a_private_file_lies_over_the_old_one(host: QuickHost):
    host.configure(DNS, peer())
    before = host.state()
    up = host.wg_quick("up", "wg0")
    assert up.returncode == 0, up.stderr
    assert MOUNT in up.stderr.splitlines()
    assert resolv_conf(host) == PRIVATE
    down = host.wg_quick("down", "wg0")
    assert (down.returncode, down.stderr.splitlines()[-1]) == (0, UNMOUNT)
    assert resolv_conf(host) == BEFORE
    assert host.state() == before


def test_a_reader_of_the_private_file_needs_no_rights(host: QuickHost):
    host.configure(DNS, peer())
    host.host.run(
        "sh", "-c", 'umask 077; exec "$@"', "up", *host.command("up", "wg0"),
        environment=host.variables(),
    )  # fmt: skip
    read = host.host.run("setpriv", "--reuid", "65534", "cat", "/etc/resolv.conf", check=False)
    host.wg_quick("down", "wg0")
    assert read.stdout == PRIVATE


@pytest.mark.parametrize("allowed", ["mounting", "writing"])
@pytest.mark.parametrize("order", ["last first", "first first"])
def test_two_interfaces_may_end_in_any_order(host: QuickHost, order: str, allowed: str):
    if allowed == "writing":
        host.host.write("/run/bin/mount", "#!/bin/sh\nexit 32\n", 0o755)
    text = host.configure("DNS = 10.48.0.5\nTable = off", peer())
    host.host.write("/etc/wireguard/wg1.conf", text.replace("51000", "51001").replace(".5", ".6"))
    before = host.state()
    for name in ("wg0", "wg1"):
        assert host.wg_quick("up", name).returncode == 0
    assert resolv_conf(host) == "nameserver 10.48.0.6\n"
    first, second = ("wg1", "wg0") if order == "last first" else ("wg0", "wg1")
    left = "5" if second == "wg0" else "6"
    assert host.wg_quick("down", first).returncode == 0
    assert resolv_conf(host) == f"nameserver 10.48.0.{left}\n"
    done = host.wg_quick("down", second)
    assert done.returncode == 0, done.stderr
    assert resolv_conf(host) == BEFORE
    after = host.state()
    host.host.run("rm", "/etc/wireguard/wg1.conf")
    assert after == before


FOUND = {
    "a file": "true",
    "nothing": "rm /etc/resolv.conf",
    "a link that leads nowhere": "ln -sf ../run/nowhere/resolv.conf /etc/resolv.conf",
    "a link": "mv /etc/resolv.conf /run/real; ln -s /run/real /etc/resolv.conf",
}


@pytest.mark.parametrize("allowed", ["mounting", "writing"])
@pytest.mark.parametrize("found", FOUND)
def test_whatever_was_there_is_there_again(host: QuickHost, found: str, allowed: str):
    if allowed == "writing":
        host.host.write("/run/bin/mount", "#!/bin/sh\nexit 32\n", 0o755)
    host.host.run("sh", "-c", FOUND[found])
    host.configure(DNS, peer())
    before = host.state()
    up = host.wg_quick("up", "wg0")
    during = resolv_conf(host)
    down = host.wg_quick("down", "wg0")
    after = host.state()
    host.host.run("rm", "-f", "/etc/resolv.conf")
    host.host.write("/etc/resolv.conf", BEFORE, 0o644)
    assert (up.returncode, down.returncode) == (0, 0), up.stderr + down.stderr
    assert during == PRIVATE
    assert after == before


def test_a_file_that_somebody_changed_meanwhile_is_left_to_them(host: QuickHost):
    host.host.write("/run/bin/mount", "#!/bin/sh\nexit 32\n", 0o755)
    host.configure(DNS, peer())
    host.wg_quick("up", "wg0")
    host.host.run("sh", "-c", "echo nameserver 203.0.113.1 >/etc/resolv.conf")
    down = host.wg_quick("down", "wg0")
    changed = resolv_conf(host)
    host.host.write("/etc/resolv.conf", BEFORE, 0o644)
    assert down.returncode == 0
    assert changed == "nameserver 203.0.113.1\n"
    assert "[!] /etc/resolv.conf has been changed by somebody else" in down.stderr


def test_a_later_failure_uncovers_the_file(host: QuickHost):
    host.configure(f"{DNS}\nPostUp = false", peer())
    before = host.state()
    up = host.wg_quick("up", "wg0")
    assert up.returncode == 1
    assert up.stderr.splitlines()[-2:] == [UNMOUNT, "[#] ip link delete dev wg0"]
    assert host.state() == before


def test_an_interface_that_was_deleted_by_others_can_come_up_again(host: QuickHost):
    host.configure(DNS, peer())
    before = host.state()
    host.wg_quick("up", "wg0")
    host.host.run("ip", "link", "delete", "dev", "wg0")
    host.host.run("sh", "-c", "while [ -e /run/wireguard/wg0.sock ]; do sleep 0.05; done")
    host.configure("DNS = 10.48.0.9", peer())
    assert host.wg_quick("up", "wg0").returncode == 0
    assert resolv_conf(host) == "nameserver 10.48.0.9\n"
    assert host.wg_quick("down", "wg0").returncode == 0
    host.configure(DNS, peer())
    assert host.state() == before


def test_domains_without_a_server_change_nothing_as_with_the_original(host: QuickHost):
    host.configure("DNS = home", peer())
    up = host.wg_quick("up", "wg0")
    assert (up.returncode, resolv_conf(host)) == (0, BEFORE)
    host.wg_quick("down", "wg0")

"""`wg-quick` and the original on an interface of the kernel: the same lines, the same host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from guest.configurations import PA, PB, PRIVATE
from guest.machine import ORIGINAL, OURS, Done

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guest.machine import Machine

pytestmark = [pytest.mark.root, pytest.mark.guest]

OUTSIDE = """
ip link add out0 type dummy
ip link set out0 up mtu 1400
ip address add 192.0.2.2/24 dev out0
ip route add default via 192.0.2.1
"""
CLEAN = """
ip link delete wg0
ip link delete out0
rm -f /etc/wireguard/*
sysctl -qw net.ipv4.conf.all.src_valid_mark=0
"""
CONFIG = "/etc/wireguard/wg0.conf"
STATE = """
ip -o -d address | sed 's/valid_lft.*//; s/^[0-9]*: //'
ip route show table all; ip -6 route show table all | sed 's/ pref medium//'
ip rule; ip -6 rule
nft list ruleset
sysctl net.ipv4.conf.all.src_valid_mark
wg show all dump | sort
"""
PEER = f"[Peer]\nPublicKey = {PA}\n"
CONFIGURATIONS = {
    "site": f"Address = 10.10.11.2/24, fd00::2/64\n{PEER}AllowedIPs = 10.10.11.1/32, 10.20.0.0/16\n"
            f"Endpoint = 192.0.2.1:51820\n[Peer]\nPublicKey = {PB}\nAllowedIPs = fd00:1::/64\n",
    "mtu and marks": f"Address = 10.10.11.2/24\nMTU = 1300\nFwMark = 0x77\n{PEER}"
                     "AllowedIPs = 10.30.0.0/16\n",
    "a table": f"Address = 10.10.11.2/24\nTable = 1234\n{PEER}AllowedIPs = 10.30.0.0/16\n",
    "no routes": f"Address = 10.10.11.2/24\nTable = off\n{PEER}AllowedIPs = 0.0.0.0/0\n",
    "hooks": "Address = 10.10.11.2/24\nPostUp = wg set %i fwmark 9\n"
             f"PreDown = echo down %i\nPostDown = echo gone %i\n{PEER}AllowedIPs = 10.9.0.0/16\n",
    "everything": f"Address = 10.10.11.2/24, fd00::2/64\n{PEER}AllowedIPs = 0.0.0.0/0, ::/0\n"
                  "Endpoint = 192.0.2.1:51820\n",
}  # fmt: skip


@dataclass(frozen=True)
class Lifecycle:
    """What one wg-quick printed and did."""

    up: Done
    state: str
    down: Done
    after: str


@pytest.fixture
def host(machine: Machine) -> Iterator[Machine]:
    """The guest with a way into the world, to which default routes and MTUs refer."""
    machine.must("sh", "-c", OUTSIDE)
    yield machine
    machine.run("sh", "-c", CLEAN)


def run_lifecycle(host: Machine, path: str, configuration: str) -> Lifecycle:
    """Bring wg0 up and down again."""
    host.write(CONFIG, f"[Interface]\nPrivateKey = {PRIVATE}\nListenPort = 51000\n{configuration}")
    up = host.run("wg-quick", "up", "wg0", environment={"PATH": path})
    state = host.must("sh", "-c", STATE)
    down = host.run("wg-quick", "down", "wg0", environment={"PATH": path})
    return Lifecycle(up, state, down, host.must("sh", "-c", STATE))


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_life_of_an_interface_is_the_same(host: Machine, name: str) -> None:
    before = host.must("sh", "-c", STATE)
    theirs = run_lifecycle(host, ORIGINAL, CONFIGURATIONS[name])
    host.must("sysctl", "-qw", "net.ipv4.conf.all.src_valid_mark=0")
    ours = run_lifecycle(host, OURS, CONFIGURATIONS[name])
    assert ours.state.splitlines() == theirs.state.splitlines()
    assert ours.up.errors.splitlines() == theirs.up.errors.splitlines()
    assert ours == theirs
    assert ours.up.status == ours.down.status == 0
    assert ours.up.errors.startswith("[#] ip link add wg0 type wireguard\n")
    assert ours.after.replace("src_valid_mark = 1", "src_valid_mark = 0") == before


def test_an_interface_is_saved_the_same(host: Machine) -> None:
    saved = []
    for path in (ORIGINAL, OURS):
        text = f"Address = 10.10.11.2/24\nSaveConfig = true\n{PEER}AllowedIPs = 10.30.0.0/16\n"
        host.write(CONFIG, f"[Interface]\nPrivateKey = {PRIVATE}\nListenPort = 51000\n{text}")
        host.must("env", f"PATH={path}", "wg-quick", "up", "wg0")
        host.must("wg", "set", "wg0", "peer", PB, "allowed-ips", "10.40.0.0/16")
        host.must("env", f"PATH={path}", "wg-quick", "save", "wg0")
        saved.append(host.must("sh", "-c", "grep -v '^$' $0 | sort", CONFIG))
        host.must("env", f"PATH={path}", "wg-quick", "down", "wg0")
    assert saved[0] == saved[1]


def test_a_port_of_another_interface_is_refused_by_name(host: Machine) -> None:
    before = host.must("sh", "-c", STATE)
    taking = "ip link add wg9 type wireguard; wg set wg9 listen-port 51000; ip link set wg9 up"
    host.must("sh", "-c", taking)
    host.write(CONFIG, f"[Interface]\nPrivateKey = {PRIVATE}\nListenPort = 51000\n")
    refused = host.run("wg-quick", "up", "wg0", environment={"PATH": OURS})
    host.must("ip", "link", "delete", "wg9")
    assert refused.status == 1
    taken = "Unable to listen on UDP port 51000: Address already in use by wg9 (in the kernel)\n"
    assert refused.errors.endswith(f"wg-quick: {taken}[#] ip link delete dev wg0\n")
    assert host.must("sh", "-c", STATE) == before


@pytest.mark.parametrize("command", ["up", "down"])
def test_doing_it_twice_is_refused_in_the_same_words(host: Machine, command: str) -> None:
    if command == "up":
        host.must("ip", "link", "add", "wg0", "type", "wireguard")
    host.write(CONFIG, f"[Interface]\nPrivateKey = {PRIVATE}\n")
    ours, theirs = (
        host.run("wg-quick", command, "wg0", environment={"PATH": path})
        for path in (OURS, ORIGINAL)
    )
    assert ours == theirs
    assert ours.status == 1

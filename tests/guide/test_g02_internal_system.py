"""On an internal system: behind a router that forwards the port, with proxy ARP on the LAN."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from guide.page import built_lab, capturing, ping_replies, typed, wg_quick_up
from holloway.lab.topologies import INTERNAL_SYSTEM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holloway.lab import Lab

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """The page, all its steps taken."""
    with built_lab(INTERNAL_SYSTEM) as lab:
        for step in INTERNAL_SYSTEM.steps:
            if step.command.startswith(("iptables", "printf")):
                typed(lab, step.host, step.command)
        lines = wg_quick_up(lab, "pi4", "wg0")
        assert lines[-1] == "[#] ip -4 route add 10.10.10.11/32 dev wg0"
        wg_quick_up(lab, "laptop", "home0")
        assert ping_replies(lab, "laptop", "10.10.10.10") == 2
        yield lab


def test_the_configured_sysctls_outlive_the_session(lab: Lab):
    kept = typed(lab, "pi4", "cat /etc/sysctl.d/70-wireguard-routing.conf").stdout
    assert kept == "net.ipv4.ip_forward = 1\nnet.ipv4.conf.all.proxy_arp = 1\n"


def test_the_tunnel_comes_in_by_the_forwarded_port(lab: Lab):
    entries = typed(lab, "router", "conntrack -L -p udp").stdout
    assert "dport=51000 src=10.10.10.10" in entries
    endpoint = typed(lab, "pi4", "wg show wg0 endpoints").stdout.split()[1]
    assert endpoint == "203.0.113.2:51000"


def test_the_laptop_and_the_nas_reach_each_other_and_nothing_is_masqueraded(lab: Lab):
    with capturing(lab, "nas", "eth0", "icmp") as capture:
        assert ping_replies(lab, "laptop", "10.10.10.230") == 2
    assert len(capture.matching("10.10.10.11 > 10.10.10.230", "echo request")) == 2
    with capturing(lab, "laptop", "home0", "icmp") as capture:
        assert ping_replies(lab, "nas", "10.10.10.11") == 2
    assert len(capture.matching("10.10.10.230 > 10.10.10.11", "echo request")) == 2


def test_pi4_answers_on_the_lan_for_the_laptop(lab: Lab):
    typed(lab, "nas", "ip neighbour flush all")
    assert ping_replies(lab, "nas", "10.10.10.11") == 2
    neighbour = typed(lab, "nas", "ip neighbour show 10.10.10.11").stdout
    hardware = typed(lab, "pi4", "cat /proc/self/net/arp; ip link show eth0").stdout
    assert neighbour.split()[4] in hardware


def test_without_proxy_arp_the_lan_does_not_find_the_laptop(lab: Lab):
    typed(lab, "pi4", "sysctl -w net.ipv4.conf.all.proxy_arp=0")
    typed(lab, "nas", "ip neighbour flush all")
    try:
        assert ping_replies(lab, "nas", "10.10.10.11", wait=1) == 0
    finally:
        typed(lab, "pi4", "sysctl -w net.ipv4.conf.all.proxy_arp=1")
        typed(lab, "nas", "ip neighbour flush all")
    assert ping_replies(lab, "nas", "10.10.10.11") == 2


def test_without_forwarding_only_pi4_itself_is_reached(lab: Lab):
    typed(lab, "pi4", "sysctl -w net.ipv4.ip_forward=0")
    try:
        assert ping_replies(lab, "laptop", "10.10.10.230", wait=1) == 0
        assert ping_replies(lab, "laptop", "10.10.10.10") == 2
    finally:
        typed(lab, "pi4", "sysctl -w net.ipv4.ip_forward=1")
    # Forwarding off and on resets what stands in the file; so the page's own command again.
    typed(lab, "pi4", "sysctl -p /etc/sysctl.d/70-wireguard-routing.conf -w")
    assert ping_replies(lab, "laptop", "10.10.10.230") == 2

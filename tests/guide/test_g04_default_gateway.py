"""The default gateway: all that the laptop sends leaves by the gateway, and nothing by the cafe."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from guide.page import built_lab, capturing, hops, network, ping_replies, typed, up, wg_quick_up
from holloway.lab.topologies import DEFAULT_GATEWAY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holloway.lab import Lab

pytestmark = [pytest.mark.root, pytest.mark.slow]

GATEWAY, LAPTOP = (tunnel.config for tunnel in DEFAULT_GATEWAY.tunnels)
BOTH = ("gateway:gateway0", "laptop:wg0")
STEPS = [
    "[#] ip link add wg0 type wireguard",
    "[#] wg setconf wg0 /dev/fd/63",
    "[#] ip -4 address add 10.90.90.1/24 dev wg0",
    "[#] ip link set mtu 1420 up dev wg0",
    "[#] wg set wg0 fwmark 51820",
    "[#] ip -4 route add 0.0.0.0/0 dev wg0 table 51820",
    "[#] ip -4 rule add not fwmark 51820 table 51820",
    "[#] ip -4 rule add table main suppress_prefixlength 0",
    "[#] sysctl -q net.ipv4.conf.all.src_valid_mark=1",
    "[#] nft -f /dev/fd/63",
    "[#] wg set wg0 private-key /etc/wireguard/wg0.key",
]
# Counts the tunnel's own packets by whether they carry the mark.
COUNTER = """
table inet count {
    counter marked {}
    counter plain {}
    chain output {
        type filter hook output priority 0;
        udp dport 51000 meta mark 51820 counter name marked
        udp dport 51000 meta mark != 51820 counter name plain
    }
}
"""


@pytest.fixture(scope="module")
def network_of_page() -> Iterator[Lab]:
    with built_lab(DEFAULT_GATEWAY) as lab:
        for step in DEFAULT_GATEWAY.steps:
            if "iptables" in step.command:
                typed(lab, step.host, step.command)
        yield lab


@pytest.fixture
def lab(network_of_page: Lab) -> Lab:
    for host in ("gateway", "laptop"):
        network_of_page.configure(host)
    return network_of_page


def test_up_prints_the_pages_eleven_lines(lab: Lab):
    typed(lab, "gateway", "wg-quick up gateway0")
    try:
        assert wg_quick_up(lab, "laptop", "wg0") == STEPS
    finally:
        typed(lab, "laptop", "wg-quick down wg0")
        typed(lab, "gateway", "wg-quick down gateway0")


def test_the_first_hop_is_the_gateway_and_the_main_table_keeps_its_route(lab: Lab):
    with up(lab, *BOTH):
        report = typed(lab, "laptop", "mtr -n -r -c 2 -i 0.3 -G 1 1.1.1.1").stdout
        assert hops(report) == ["10.90.90.2", "198.51.100.1", "1.1.1.1"]
        routes = typed(lab, "laptop", "ip route").stdout
        assert "default via 192.168.7.1 dev eth0" in routes
        table = typed(lab, "laptop", "ip route list table 51820").stdout
        assert table.split() == ["default", "dev", "wg0", "scope", "link"]
        rules = typed(lab, "laptop", "ip rule list").stdout
        assert re.search(r"not from all fwmark 0xca6c lookup 51820", rules)
        assert "from all lookup main suppress_prefixlength 0" in rules


def test_nothing_leaves_in_the_clear_and_the_lan_stays_direct(lab: Lab):
    with up(lab, *BOTH):
        with capturing(lab, "cafe", "lan0") as capture:
            assert ping_replies(lab, "laptop", "1.1.1.1") == 2
            assert ping_replies(lab, "laptop", "192.168.7.1") == 2
        assert capture.matching("192.168.7.2.51000 > 198.51.100.2.51000: UDP")
        assert len(capture.matching("192.168.7.2 > 192.168.7.1", "echo request")) == 2
        assert not capture.matching("1.1.1.1")


def test_the_internet_sees_the_gateway(lab: Lab):
    with capturing(lab, "one", "eth0", "icmp") as capture, up(lab, *BOTH):
        assert ping_replies(lab, "laptop", "1.1.1.1") == 2
    assert capture.matching("198.51.100.2 > 1.1.1.1", "echo request")
    assert not capture.matching("203.0.113.2 >")


def test_the_tunnels_own_packets_carry_the_mark(lab: Lab):
    lab["laptop"].run("nft", "-f", "-", stdin=COUNTER)
    try:
        with up(lab, *BOTH):
            assert ping_replies(lab, "laptop", "1.1.1.1") == 2
            counted = typed(lab, "laptop", "nft list counters table inet count").stdout
    finally:
        typed(lab, "laptop", "nft delete table inet count")
    packets = dict(re.findall(r"counter (\w+) {\s+packets (\d+)", counted))
    assert int(packets["marked"]) >= 3
    assert packets["plain"] == "0"


def test_down_removes_rules_table_firewall_and_link(lab: Lab):
    typed(lab, "laptop", "sysctl -qw net.ipv4.conf.all.src_valid_mark=1")
    before = network(lab, "laptop")
    with up(lab, *BOTH):
        assert "wg-quick-wg0" in typed(lab, "laptop", "nft list tables").stdout
        assert ping_replies(lab, "laptop", "1.1.1.1") == 2
    assert network(lab, "laptop") == before
    with capturing(lab, "cafe", "lan0", "icmp") as capture:
        assert ping_replies(lab, "laptop", "1.1.1.1") == 2
    assert capture.matching("192.168.7.2 > 1.1.1.1", "echo request")


def test_a_stranger_on_the_lan_cannot_reach_the_tunnels_address(lab: Lab):
    with up(lab, *BOTH):
        assert ping_replies(lab, "laptop", "1.1.1.1") == 2
        typed(lab, "cafe", "ip route add 10.90.90.1/32 via 192.168.7.2")
        try:
            assert ping_replies(lab, "cafe", "10.90.90.1", wait=1) == 0
        finally:
            typed(lab, "cafe", "ip route del 10.90.90.1/32")
        assert ping_replies(lab, "gateway", "10.90.90.1") == 2


def test_as_on_the_page_ipv6_passes_the_tunnel_by(lab: Lab):
    """The page is IPv4 only; IPv6 takes the tunnel if it is configured, as in the next test."""
    with up(lab, *BOTH), capturing(lab, "cafe", "lan0", "icmp6") as capture:
        assert ping_replies(lab, "laptop", "2606:4700::1") == 2
    assert capture.matching("fd07::2 > 2606:4700::1", "echo request")


def test_with_both_families_nothing_of_either_leaks(lab: Lab):
    lab.configure("gateway", GATEWAY.replace("90.2/24", "90.2/24, fd90::2/64")
                  .replace("90.1/32", "90.1/32, fd90::1/128"))  # fmt: skip
    lab.configure("laptop", LAPTOP.replace("90.1/24", "90.1/24, fd90::1/64")
                  .replace("0.0.0.0/0", "0.0.0.0/0, ::/0"))  # fmt: skip
    typed(lab, "gateway", "sysctl -w net.ipv6.conf.all.forwarding=1")
    typed(lab, "gateway", "ip6tables -t nat -A POSTROUTING -s fd90::/64 -o eth0 -j MASQUERADE")
    with up(lab, *BOTH), capturing(lab, "cafe", "lan0") as capture:
        assert ping_replies(lab, "laptop", "2606:4700::1") == 2
        assert ping_replies(lab, "laptop", "1.1.1.1") == 2
        assert ping_replies(lab, "laptop", "fd07::1") == 2
    assert not capture.matching("2606:4700::1")
    assert not capture.matching("1.1.1.1")
    assert capture.matching("fd07::2 > fd07::1", "echo request")


def test_an_endpoint_without_port_is_refused_as_the_page_has_it(lab: Lab):
    lab.configure("laptop", LAPTOP.replace("198.51.100.2:51000", "198.51.100.2"))
    before = network(lab, "laptop")
    done = typed(lab, "laptop", "wg-quick up wg0", check=False)
    assert done.returncode != 0
    assert "Unable to find port of endpoint: `198.51.100.2'" in done.stderr
    assert network(lab, "laptop") == before

"""Peer-to-site, on a router: a laptop reaches the whole home network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from guide.page import built_lab, capturing, ping_replies, shown_peers, typed, up, wg_quick_up
from holloway.lab.topologies import PEER_TO_SITE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holloway.lab import Lab

pytestmark = pytest.mark.root


@pytest.fixture
def lab() -> Iterator[Lab]:
    with built_lab(PEER_TO_SITE) as lab:
        yield lab


def test_keys_are_45_bytes_that_only_root_may_read(lab: Lab):
    for host, name in (("laptop", "home0"), ("router", "wg0")):
        keys = typed(lab, host, f"stat -c '%s %a %U' {name}-private.key {name}-public.key").stdout
        assert keys == "45 600 root\n" * 2


def test_the_page_from_up_to_the_first_handshake(lab: Lab):
    typed(lab, "router", "chmod 0600 wg0.conf; chown root: wg0.conf")
    assert wg_quick_up(lab, "router", "wg0") == [
        "[#] ip link add wg0 type wireguard",
        "[#] wg setconf wg0 /dev/fd/63",
        "[#] ip -4 address add 10.10.11.1/24 dev wg0",
        "[#] ip link set mtu 1378 up dev wg0",
    ]
    address = typed(lab, "router", "ip a show dev wg0").stdout
    assert "mtu 1378" in address
    assert "inet 10.10.11.1/24 scope global wg0" in address
    route = typed(lab, "router", "ip route | grep wg0").stdout
    assert route.strip() == "10.10.11.0/24 dev wg0 proto kernel scope link src 10.10.11.1"

    silent = "interface: wg0\n" \
             f"  public key: {lab.public_key('router')}\n" \
             "  private key: (hidden)\n" \
             "  listening port: 51000\n\n" \
             f"peer: {lab.public_key('laptop')}\n" \
             "  allowed ips: 10.10.11.2/32\n"  # fmt: skip
    assert typed(lab, "router", "wg show").stdout == silent
    with capturing(lab, "router", "ppp0") as capture:
        lines = wg_quick_up(lab, "laptop", "home0")
        assert typed(lab, "router", "wg show").stdout == silent
    assert "[#] ip link set mtu 1420 up dev home0" in lines
    assert lines[-1] == "[#] ip -4 route add 10.10.10.0/24 dev home0"
    assert not capture.matching("51000"), (
        "there is nothing to say before somebody has something to say"
    )

    ping = typed(lab, "laptop", "ping -c 3 -i 0.2 10.10.10.1").stdout
    assert "3 received" in ping
    assert shown_peers(lab, "router") == [
        ["peer", "endpoint", "allowed ips", "latest handshake", "transfer"]
    ]
    endpoint = typed(lab, "router", "wg show wg0 endpoints").stdout.split()[1]
    assert endpoint == "203.0.113.2:51000"


def test_hosts_behind_the_router_answer_by_their_default_gateway(lab: Lab):
    with up(lab, "router:wg0", "laptop:home0"):
        with capturing(lab, "nas", "eth0", "icmp") as capture:
            assert ping_replies(lab, "laptop", "10.10.10.230") == 2
            assert ping_replies(lab, "laptop", "10.10.10.10") == 2
        assert len(capture.matching("10.10.11.2 > 10.10.10.230", "echo request")) == 2
        assert ping_replies(lab, "nas", "10.10.11.2") == 2


def test_without_the_tunnel_there_is_no_way_in(lab: Lab):
    assert ping_replies(lab, "laptop", "10.10.10.230", wait=1) == 0
    with up(lab, "router:wg0", "laptop:home0"):
        assert ping_replies(lab, "laptop", "10.10.10.230") == 2
    assert ping_replies(lab, "laptop", "10.10.10.230", wait=1) == 0

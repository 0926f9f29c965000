"""Introduction: one host and "the office", and what of the file becomes a route."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from guide.page import built_lab, capturing, ping_replies, typed, up, wg_quick_up
from holloway.lab.topologies import PEER_TO_SITE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holloway.lab import Lab

pytestmark = pytest.mark.root

CONFIG = """\
[Interface]
PrivateKey = <private key of laptop>
ListenPort = 51000
Address = {address}

[Peer]
# office
PublicKey = <public key of router>
AllowedIPs = 10.10.11.0/24, 10.10.10.0/24
Endpoint = wg.example.com:51000 # comment
"""
OFFICE = """\
[Interface]
PrivateKey = <private key of router>
ListenPort = 51000
Address = 10.10.11.1/24

[Peer]
PublicKey = <public key of laptop>
AllowedIPs = 10.10.11.10
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with built_lab(PEER_TO_SITE) as lab:
        lab.sh("laptop", "echo 198.51.100.2 wg.example.com >>/etc/hosts")
        lab.configure("router", OFFICE)
        yield lab


@pytest.mark.parametrize("name", ["wg0", "office", "home1"])
def test_up_prints_the_pages_five_lines_whatever_the_name(lab: Lab, name: str):
    lab.configure("laptop", CONFIG.format(address="10.10.11.10/24"), name)
    lines = wg_quick_up(lab, "laptop", name)
    route = typed(lab, "laptop", "ip route get 10.10.10.201").stdout
    typed(lab, "laptop", f"wg-quick down {name}")
    assert lines == [
        f"[#] ip link add {name} type wireguard",
        f"[#] wg setconf {name} /dev/fd/63",
        f"[#] ip -4 address add 10.10.11.10/24 dev {name}",
        f"[#] ip link set mtu 1420 up dev {name}",
        f"[#] ip -4 route add 10.10.10.0/24 dev {name}",
    ]
    assert route.startswith(f"10.10.10.201 dev {name} src 10.10.11.10")


def test_an_address_alone_needs_a_route_for_its_own_network_too(lab: Lab):
    lab.configure("laptop", CONFIG.format(address="10.10.11.10/32"), "wg0")
    lines = wg_quick_up(lab, "laptop", "wg0")
    typed(lab, "laptop", "wg-quick down wg0")
    assert {line for line in lines if "route" in line} == {
        "[#] ip -4 route add 10.10.10.0/24 dev wg0",
        "[#] ip -4 route add 10.10.11.0/24 dev wg0",
    }


def test_keys_route_both_ways_and_a_stranger_inside_the_tunnel_is_dropped(lab: Lab):
    lab.configure("laptop", CONFIG.format(address="10.10.11.10/24"), "wg0")
    with up(lab, "router:wg0", "laptop:wg0"):
        assert ping_replies(lab, "laptop", "10.10.10.230") == 2
        assert ping_replies(lab, "router", "10.10.11.10") == 2
        typed(lab, "laptop", "ip address add 10.10.11.99/32 dev wg0")
        with capturing(lab, "router", "wg0", "icmp") as capture:
            assert ping_replies(lab, "laptop", "10.10.11.1", "-I 10.10.11.99", wait=1) == 0
            assert ping_replies(lab, "laptop", "10.10.11.1", "-I 10.10.11.10") == 2
        assert capture.matching("10.10.11.10 > 10.10.11.1")
        assert not capture.matching("10.10.11.99")

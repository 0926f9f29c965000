"""Troubleshooting, the checklist: each mistake in it breaks the tunnel as described.

The tests inspect what the page inspects: `wg show`, routes and sysctls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from guide.page import built_lab, ping_replies, shown_peers, typed, up
from holloway.lab.topologies import PEER_TO_SITE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holloway.lab import Lab

pytestmark = [pytest.mark.root, pytest.mark.slow]

ROUTER, LAPTOP = (tunnel.config for tunnel in PEER_TO_SITE.tunnels)
BOTH = ("router:wg0", "laptop:home0")


@pytest.fixture(scope="module")
def page() -> Iterator[Lab]:
    with built_lab(PEER_TO_SITE) as lab:
        yield lab


@pytest.fixture
def lab(page: Lab) -> Lab:
    for host in ("router", "laptop"):
        page.configure(host)
    return page


def test_a_hosts_own_key_as_its_peers_makes_no_peer(lab: Lab):
    lab.configure("laptop", LAPTOP.replace("<public key of router>", "<public key of laptop>"))
    with up(lab, *BOTH):
        assert "peer" not in typed(lab, "laptop", "wg show").stdout
        assert ping_replies(lab, "laptop", "10.10.10.1", wait=1) == 0


def test_a_strangers_key_as_the_peers_makes_no_session(lab: Lab):
    stranger = typed(lab, "laptop", "wg genkey | wg pubkey").stdout.strip()
    lab.configure("laptop", LAPTOP.replace("<public key of router>", stranger))
    with up(lab, *BOTH):
        assert ping_replies(lab, "laptop", "10.10.10.1", wait=1) == 0
        assert "latest handshake" not in shown_peers(lab, "laptop")[0]
        assert "endpoint" not in shown_peers(lab, "router")[0]


@pytest.mark.parametrize(
    ("host", "config"),
    [
        ("laptop", LAPTOP.replace(",10.10.10.0/24", "")),
        ("router", ROUTER.replace("AllowedIPs = 10.10.11.2", "AllowedIPs = 10.10.11.4")),
    ],
)
def test_an_address_missing_from_allowed_ips_on_either_side_is_not_reached(
    lab: Lab, host: str, config: str
):
    lab.configure(host, config)
    with up(lab, *BOTH):
        assert ping_replies(lab, "laptop", "10.10.10.230", wait=1) == 0


def test_without_its_route_the_network_behind_the_router_is_not_reached(lab: Lab):
    with up(lab, *BOTH):
        typed(lab, "laptop", "ip route del 10.10.10.0/24 dev home0")
        assert ping_replies(lab, "laptop", "10.10.10.230", wait=1) == 0
        assert ping_replies(lab, "laptop", "10.10.11.1") == 2
        typed(lab, "laptop", "ip route add 10.10.10.0/24 dev home0")
        assert ping_replies(lab, "laptop", "10.10.10.230") == 2


def test_without_forwarding_the_router_is_reached_and_what_is_behind_it_is_not(lab: Lab):
    with up(lab, *BOTH):
        typed(lab, "router", "sysctl -w net.ipv4.ip_forward=0")
        try:
            assert ping_replies(lab, "laptop", "10.10.10.1") == 2
            assert ping_replies(lab, "laptop", "10.10.10.230", wait=1) == 0
        finally:
            typed(lab, "router", "sysctl -w net.ipv4.ip_forward=1")
        assert ping_replies(lab, "laptop", "10.10.10.230") == 2


def test_a_closed_port_on_the_way_is_silence(lab: Lab):
    typed(lab, "router", "iptables -I INPUT -i ppp0 -p udp --dport 51000 -j DROP")
    try:
        with up(lab, *BOTH):
            assert ping_replies(lab, "laptop", "10.10.10.1", wait=1) == 0
    finally:
        typed(lab, "router", "iptables -D INPUT -i ppp0 -p udp --dport 51000 -j DROP")

"""Common tasks, another peer: added by a reload while the first one talks; then both meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from guide.page import built_lab, install_units, no_ping_lost, ping_replies, typed, up
from holloway.lab.topologies import HUB, PEER_TO_SITE
from hosts import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holloway.lab import Lab

pytestmark = pytest.mark.root

ONE_PEER = PEER_TO_SITE.tunnels[0].config


@pytest.fixture
def lab() -> Iterator[Lab]:
    """The laptop is connected; the router knows of no other peer."""
    with built_lab(HUB) as lab:
        install_units(lab, "router")
        lab.configure("router", ONE_PEER)
        typed(lab, "router", "systemctl enable --now wg-quick@wg0")
        with up(lab, "laptop:home0", "ontheroad:wg0"):
            assert ping_replies(lab, "laptop", "10.10.10.1") == 2
            yield lab


def test_a_peer_is_added_while_another_talks_and_they_meet_at_the_router(lab: Lab):
    assert ping_replies(lab, "ontheroad", "10.10.10.230", wait=1) == 0
    with no_ping_lost(lab, "laptop", "10.10.10.230"):
        lab.configure("router")
        typed(lab, "router", "systemctl reload wg-quick@wg0")
    # Its calls until now were not answered; it calls again every 5 s.
    assert eventually(lambda: ping_replies(lab, "ontheroad", "10.10.10.230", wait=1) == 2)
    assert ping_replies(lab, "ontheroad", "10.10.11.2") == 2
    assert ping_replies(lab, "laptop", "10.10.11.3") == 2


def test_a_hub_sends_its_peers_no_redirects(lab: Lab):
    """There is no shorter way than the hub, so the kernel's device never names one."""
    lab.configure("router")
    typed(lab, "router", "systemctl reload wg-quick@wg0")
    assert ping_replies(lab, "ontheroad", "10.10.10.1") == 2
    shown = typed(lab, "ontheroad", "ping -n -c 2 -i 0.2 10.10.11.2").stdout
    assert "2 received" in shown
    assert "Redirect" not in shown


def test_reload_says_which_routes_it_adds_and_takes_away(lab: Lab):
    lab.configure("router", ONE_PEER + "AllowedIPs = 10.10.12.0/24\n")
    said = typed(lab, "router", "wg-quick reload wg0").stderr
    assert "[#] ip -4 route add 10.10.12.0/24 dev wg0\n" in said
    assert "10.10.12.0/24" in typed(lab, "router", "ip route show dev wg0").stdout
    lab.configure("router", ONE_PEER)
    said = typed(lab, "router", "wg-quick reload wg0").stderr
    assert "10.10.12.0/24 dev wg0" in said
    assert "10.10.12.0/24" not in typed(lab, "router", "ip route show dev wg0").stdout

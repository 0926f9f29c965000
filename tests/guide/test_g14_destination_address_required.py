"""Troubleshooting: the router does not know where the laptop is, and reports it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from guide.page import built_lab, log_of, ping_replies, typed, up
from holloway.lab.topologies import PEER_TO_SITE
from hosts import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holloway.lab import Lab

pytestmark = pytest.mark.root

LAPTOP = PEER_TO_SITE.tunnels[1].config
BOTH = ("router:wg0", "laptop:home0")


@pytest.fixture
def lab() -> Iterator[Lab]:
    with built_lab(PEER_TO_SITE) as lab:
        yield lab


def test_a_silent_laptop_is_unreachable_until_it_sends_one_packet(lab: Lab):
    with up(lab, *BOTH):
        shown = typed(lab, "router", "ping -n -c 1 10.10.11.2", check=False).stdout
        assert "From 10.10.11.1 icmp_seq=1 Destination Host Unreachable" in shown
        typed(lab, "laptop", "ping -n -c 1 10.10.11.1")
        assert ping_replies(lab, "router", "10.10.11.2") == 2


def test_the_log_says_that_no_endpoint_is_known(lab: Lab):
    with up(lab, *BOTH), log_of(lab, "router", "wg0") as followed:
        assert ping_replies(lab, "router", "10.10.11.2", wait=1) == 0
        assert followed.stdout is not None
        while "No valid endpoint" not in (line := followed.stdout.readline()):
            assert line
    assert "No valid endpoint has been configured or discovered for peer 1" in line


def test_after_a_restart_of_the_router_the_laptop_finds_it_again_by_itself(lab: Lab):
    with up(lab, *BOTH):
        assert ping_replies(lab, "laptop", "10.10.11.1") == 2
        typed(lab, "router", "wg-quick down wg0; wg-quick up wg0")
        shown = typed(lab, "router", "ping -n -c 1 10.10.11.2", check=False).stdout
        assert "Destination Host Unreachable" in shown
        # The laptop's session is good for nothing now; after 15 s without answer it makes another.
        assert eventually(lambda: ping_replies(lab, "laptop", "10.10.11.1", wait=1) == 2)
        assert ping_replies(lab, "router", "10.10.11.2") == 2


@pytest.mark.parametrize("keepalive", [False, True])
def test_a_nat_that_forgets_hides_the_laptop_unless_it_keeps_alive(lab: Lab, keepalive: bool):
    lab.configure("laptop", LAPTOP + "PersistentKeepalive = 1\n" * keepalive)
    typed(lab, "internet", "iptables -t nat -A POSTROUTING -o to-router -j MASQUERADE")
    with up(lab, *BOTH):
        assert ping_replies(lab, "laptop", "10.10.11.1") == 2
        assert ping_replies(lab, "router", "10.10.11.2") == 2
        # What a NAT does after half a minute of silence.
        typed(lab, "internet", "conntrack -D -p udp")
        if keepalive:
            assert eventually(lambda: ping_replies(lab, "router", "10.10.11.2", wait=1) == 2)
        else:
            assert ping_replies(lab, "router", "10.10.11.2", wait=1) == 0
            typed(lab, "laptop", "ping -n -c 1 10.10.11.1")
            assert ping_replies(lab, "router", "10.10.11.2") == 2

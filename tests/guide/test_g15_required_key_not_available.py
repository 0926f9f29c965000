"""Troubleshooting: a route leads to the tunnel, but no peer has the address."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from guide.page import built_lab, log_of, ping_replies, typed, up
from holloway.lab.topologies import PEER_TO_SITE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holloway.lab import Lab

pytestmark = pytest.mark.root

LAPTOP = PEER_TO_SITE.tunnels[1].config


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """As on the page, the laptop has the network at home in AllowedIPs, and not the tunnel's."""
    with built_lab(PEER_TO_SITE) as lab:
        lab.configure("laptop", LAPTOP.replace("10.10.11.0/24,", ""))
        with up(lab, "router:wg0", "laptop:home0"):
            yield lab


def test_an_address_that_no_peer_has_is_unreachable_and_the_others_are_not(lab: Lab):
    shown = typed(lab, "laptop", "ping -n -c 1 10.10.11.1", check=False).stdout
    assert "From 10.10.11.2 icmp_seq=1 Destination Host Unreachable" in shown


def test_the_log_names_the_address_that_no_peer_has(lab: Lab):
    with log_of(lab, "laptop", "home0") as followed:
        assert ping_replies(lab, "laptop", "10.10.11.1", wait=1) == 0
        assert followed.stdout is not None
        while "No peer has allowed IPs" not in (line := followed.stdout.readline()):
            assert line
    assert "No peer has allowed IPs matching 10.10.11.1" in line


def test_the_address_added_to_allowed_ips_is_reached(lab: Lab):
    router = lab.public_key("router")
    typed(lab, "laptop", f"wg set home0 peer {router} allowed-ips 10.10.10.0/24,10.10.11.0/24")
    assert ping_replies(lab, "laptop", "10.10.11.1") == 2

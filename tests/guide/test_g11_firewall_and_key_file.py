"""Security: traffic goes both ways unless a firewall forbids it; the key in its own file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from guide.page import (
    HOOK,
    built_lab,
    connection_error,
    ping_replies,
    server,
    typed,
    up,
    wg_quick_up,
)
from holloway.lab.topologies import PEER_TO_SITE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holloway.lab import Lab

pytestmark = pytest.mark.root

ROUTER, LAPTOP = (tunnel.config for tunnel in PEER_TO_SITE.tunnels)
BOTH = ("router:wg0", "laptop:home0")


@pytest.fixture
def lab() -> Iterator[Lab]:
    with built_lab(PEER_TO_SITE) as lab:
        yield lab


def test_the_network_reaches_the_laptop_unless_the_laptop_filters(lab: Lab):
    with up(lab, *BOTH), server(lab, "laptop", "10.10.11.2", 8000):
        assert ping_replies(lab, "laptop", "10.10.10.230") == 2
        assert connection_error(lab, "nas", "10.10.11.2", 8000) == ""
        typed(lab, "laptop", "iptables -A INPUT -i home0 -m conntrack"
                             " --ctstate ESTABLISHED,RELATED -j ACCEPT;"
                             " iptables -A INPUT -i home0 -j REJECT")  # fmt: skip
        assert "refused" in connection_error(lab, "nas", "10.10.11.2", 8000)
        assert ping_replies(lab, "laptop", "10.10.10.230") == 2


def test_a_router_may_filter_what_leaves_the_tunnel(lab: Lab):
    with up(lab, *BOTH):
        typed(lab, "router", "iptables -A FORWARD -i wg0 ! -d 10.10.10.10 -j DROP")
        assert ping_replies(lab, "laptop", "10.10.10.230", wait=1) == 0
        assert ping_replies(lab, "laptop", "10.10.10.10") == 2


def test_the_key_may_stay_in_a_file_of_its_own(lab: Lab):
    typed(lab, "laptop", "mv home0-private.key home0.key")
    lab.configure("laptop", LAPTOP.replace("PrivateKey = <private key of laptop>\n", HOOK))
    typed(lab, "router", "wg-quick up wg0")
    lines = wg_quick_up(lab, "laptop", "home0")
    assert lines[-1] == "[#] wg set home0 private-key /etc/wireguard/home0.key"
    assert ping_replies(lab, "laptop", "10.10.10.230") == 2
    key = typed(lab, "laptop", "cat home0.key").stdout.strip()
    assert key not in typed(lab, "laptop", "cat home0.conf; wg show").stdout


def test_a_key_file_that_is_missing_takes_the_interface_down_again(lab: Lab):
    lab.configure("laptop", LAPTOP.replace("PrivateKey = <private key of laptop>\n", HOOK))
    done = typed(lab, "laptop", "wg-quick up home0", check=False)
    assert done.returncode != 0
    assert "home0.key" in done.stderr
    assert "home0" not in typed(lab, "laptop", "ip -br link").stdout

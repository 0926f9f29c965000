"""Site-to-site: two networks, keys set by a hook, nothing translated, a firewall in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from guide.page import (
    HOOK,
    built_lab,
    capturing,
    connection_error,
    hops,
    install_units,
    ping_replies,
    server,
    typed,
    up,
    wg_quick_up,
)
from holloway.lab.topologies import SITE_TO_SITE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holloway.lab import Lab

pytestmark = [pytest.mark.root, pytest.mark.slow]

ALPHA, BETA = (tunnel.config for tunnel in SITE_TO_SITE.tunnels)
BOTH = ("alpha:wgA", "beta:wgB")
FIREWALL = """\
PostUp = iptables -A FORWARD -i %i -p tcp --dport 22 -j REJECT
PreDown = iptables -D FORWARD -i %i -p tcp --dport 22 -j REJECT
"""


@pytest.fixture(scope="module")
def sites() -> Iterator[Lab]:
    with built_lab(SITE_TO_SITE) as lab:
        yield lab


@pytest.fixture
def lab(sites: Lab) -> Lab:
    for host in ("alpha", "beta"):
        sites.configure(host)
    return sites


def test_the_pages_way_of_making_keys_works(lab: Lab):
    typed(lab, "nas", "wg genkey | tee wgA.key >/dev/null; cat wgA.key | wg pubkey | tee wgA.pub")
    sizes = typed(lab, "nas", "stat -c %s wgA.key wgA.pub").stdout
    assert sizes == "45\n45\n"


def test_up_prints_the_hook_as_its_last_step(lab: Lab):
    try:
        assert wg_quick_up(lab, "alpha", "wgA") == [
            "[#] ip link add wgA type wireguard",
            "[#] wg setconf wgA /dev/fd/63",
            "[#] ip -4 address add 10.10.9.0/31 dev wgA",
            "[#] ip link set mtu 1420 up dev wgA",
            "[#] ip -4 route add 10.10.11.0/24 dev wgA",
            "[#] wg set wgA private-key /etc/wireguard/wgA.key",
        ]
    finally:
        typed(lab, "alpha", "wg-quick down wgA")


@pytest.mark.parametrize(
    ("first", "there"), [("nas", "10.10.11.50"), ("laptop", "10.10.10.230"),
                         ("alpha", "10.10.9.1"), ("beta", "10.10.9.0")]
)  # fmt: skip
def test_either_side_may_begin(lab: Lab, first: str, there: str):
    with up(lab, *BOTH):
        assert ping_replies(lab, first, there) == 2


def test_a_trace_shows_both_ends_of_the_tunnel_and_no_address_is_translated(lab: Lab):
    with up(lab, *BOTH):
        with capturing(lab, "nas", "eth0", "icmp") as capture:
            report = typed(lab, "laptop", "mtr -n -r -c 2 -i 0.3 -G 1 10.10.10.230").stdout
        assert hops(report) == ["10.10.11.1", "10.10.9.0", "10.10.10.230"]
        assert capture.matching("10.10.11.50 > 10.10.10.230", "echo request")
        assert not capture.matching("10.10.9.1 >")


def test_a_tunnel_with_addresses_of_a_30_works_as_well(lab: Lab):
    for host, config, old, new in (("alpha", ALPHA, "9.0/31", "9.1/30"),
                                   ("beta", BETA, "9.1/31", "9.2/30")):  # fmt: skip
        allowed = config.replace("10.10.9.0/31\n", "10.10.9.0/30\n")
        lab.configure(host, allowed.replace(f"Address = 10.10.{old}", f"Address = 10.10.{new}")
                      .replace("Address = 10.10.9.0/30", "Address = 10.10.9.1/30"))  # fmt: skip
    with up(lab, *BOTH):
        assert ping_replies(lab, "alpha", "10.10.9.2") == 2
        assert ping_replies(lab, "laptop", "10.10.10.230") == 2


def test_until_the_hook_there_is_no_key_and_no_session(lab: Lab):
    lab.configure("alpha", ALPHA.replace(HOOK, ""))
    with up(lab, *BOTH):
        assert typed(lab, "alpha", "wg show wgA private-key").stdout == "(none)\n"
        assert ping_replies(lab, "nas", "10.10.11.50", wait=1) == 0
        typed(lab, "alpha", "wg set wgA private-key /etc/wireguard/wgA.key")
        assert ping_replies(lab, "nas", "10.10.11.50") == 2


def test_a_firewall_rejects_ssh_and_lets_pings_pass(lab: Lab):
    lab.configure("alpha", ALPHA.replace("[Peer]", f"{FIREWALL}\n[Peer]"))
    ssh = server(lab, "nas", "10.10.10.230", 22)
    web = server(lab, "nas", "10.10.10.230", 8000)
    with ssh, web:
        for _ in range(2):
            with up(lab, *BOTH):
                assert ping_replies(lab, "laptop", "10.10.10.230") == 2
                assert connection_error(lab, "laptop", "10.10.10.230", 8000) == ""
                assert "Connection refused" in connection_error(lab, "laptop", "10.10.10.230", 22)
                assert typed(lab, "alpha", "iptables -S FORWARD").stdout.count("REJECT") == 1
            assert "REJECT" not in typed(lab, "alpha", "iptables -S FORWARD").stdout
        lab.configure("alpha")
        with up(lab, *BOTH):
            assert connection_error(lab, "laptop", "10.10.10.230", 22) == ""


def test_enabled_units_bring_the_tunnel_back_after_a_reboot(lab: Lab):
    for host, tunnel in (("alpha", "wgA"), ("beta", "wgB")):
        install_units(lab, host)
        typed(lab, host, f"systemctl enable --now wg-quick@{tunnel}")
        assert typed(lab, host, f"systemctl is-enabled wg-quick@{tunnel}").stdout == "enabled\n"
    assert ping_replies(lab, "laptop", "10.10.10.230") == 2
    # A host that loses power keeps its files and nothing else.
    typed(lab, "alpha", "ip link delete wgA; rm -r /run/systemctl")
    assert ping_replies(lab, "laptop", "10.10.10.230", wait=1) == 0
    typed(lab, "alpha", "systemctl default")
    # Beta holds on to its old session for 15 s yet; alpha, which has none, begins at once.
    assert ping_replies(lab, "nas", "10.10.11.50") == 2
    assert ping_replies(lab, "laptop", "10.10.10.230") == 2
    for host, tunnel in (("alpha", "wgA"), ("beta", "wgB")):
        typed(lab, host, f"systemctl disable --now wg-quick@{tunnel}")
        assert tunnel not in typed(lab, host, "ip -br link").stdout

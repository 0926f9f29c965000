"""Common tasks, systemd: start, stop, restart; reload touches no session that did not change.

systemctl is a stand-in that reads the real unit file; no host of a lab runs systemd.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from guide.page import HOOK, built_lab, install_units, no_ping_lost, ping_replies, typed, up
from holloway.lab.topologies import DEFAULT_GATEWAY, PEER_TO_SITE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holloway.lab import Lab

pytestmark = pytest.mark.root

ROUTER, LAPTOP = (tunnel.config for tunnel in PEER_TO_SITE.tunnels)


@pytest.fixture
def lab() -> Iterator[Lab]:
    with built_lab(PEER_TO_SITE) as lab:
        install_units(lab, "router")
        yield lab


def test_status_start_stop_and_restart(lab: Lab):
    unit = "wg-quick@wg0"
    assert "inactive" in typed(lab, "router", f"systemctl status {unit}", check=False).stdout
    for verb in ("enable", "start", "restart"):
        typed(lab, "router", f"systemctl {verb} {unit}")
    assert "active (exited)" in typed(lab, "router", f"systemctl status {unit}").stdout
    assert typed(lab, "router", "wg show interfaces").stdout == "wg0\n"
    typed(lab, "router", f"systemctl stop {unit}")
    assert typed(lab, "router", "wg show interfaces").stdout.strip() == ""


def test_reload_keeps_the_session_and_loses_no_ping(lab: Lab):
    typed(lab, "router", "systemctl start wg-quick@wg0")
    with up(lab, "laptop:home0"):
        assert ping_replies(lab, "laptop", "10.10.10.230") == 2
        before = typed(lab, "router", "wg show wg0 latest-handshakes; wg show wg0 endpoints").stdout
        with no_ping_lost(lab, "laptop", "10.10.10.230"):
            for _ in range(2):
                typed(lab, "router", "systemctl reload wg-quick@wg0")
        after = typed(lab, "router", "wg show wg0 latest-handshakes; wg show wg0 endpoints").stdout
        assert before == after


def test_a_hook_that_changed_needs_a_restart_and_reload_says_so(lab: Lab):
    typed(lab, "router", "systemctl start wg-quick@wg0")
    lab.configure("router", ROUTER.replace("[Peer]", "PostUp = echo %i > /run/hook\n\n[Peer]"))
    said = typed(lab, "router", "wg-quick reload wg0").stderr
    assert "PostUp has changed. Restart wg0" in said
    assert typed(lab, "router", "test -e /run/hook", check=False).returncode == 1
    typed(lab, "router", "systemctl restart wg-quick@wg0")
    assert typed(lab, "router", "cat /run/hook").stdout == "wg0\n"


def test_reload_keeps_a_key_that_a_hook_has_set(lab: Lab):
    typed(lab, "router", "cp wg0-private.key wg0.key")
    lab.configure("router", ROUTER.replace("PrivateKey = <private key of router>\n", HOOK))
    typed(lab, "router", "systemctl start wg-quick@wg0")
    with up(lab, "laptop:home0"):
        assert ping_replies(lab, "laptop", "10.10.10.230") == 2
        key = typed(lab, "router", "wg show wg0 private-key").stdout
        typed(lab, "router", "systemctl reload wg-quick@wg0")
        assert typed(lab, "router", "wg show wg0 private-key").stdout == key != "(none)\n"
        assert ping_replies(lab, "laptop", "10.10.10.230") == 2


def test_reload_keeps_the_mark_of_a_default_gateway():
    with built_lab(DEFAULT_GATEWAY) as lab:
        for step in DEFAULT_GATEWAY.steps:
            if "iptables" in step.command:
                typed(lab, step.host, step.command)
        install_units(lab, "laptop")
        typed(lab, "gateway", "wg-quick up gateway0")
        typed(lab, "laptop", "systemctl start wg-quick@wg0")
        assert ping_replies(lab, "laptop", "1.1.1.1") == 2
        typed(lab, "laptop", "systemctl reload wg-quick@wg0")
        assert typed(lab, "laptop", "wg show wg0 fwmark").stdout == "0xca6c\n"
        assert ping_replies(lab, "laptop", "1.1.1.1") == 2

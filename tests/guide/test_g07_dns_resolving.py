"""Common tasks, DNS: names under .home are asked at home, all others where they always were."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from guide.page import built_lab, capturing, typed, wg_quick_up
from guide.resolver import asked, name_server, stub_resolver
from holloway.lab.topologies import PEER_TO_SITE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holloway.lab import Lab

pytestmark = pytest.mark.root

LAPTOP = PEER_TO_SITE.tunnels[1].config
HOOK = r"PostUp = resolvectl dns %i 10.10.10.1; resolvectl domain %i \~home"


@pytest.fixture
def lab() -> Iterator[Lab]:
    with built_lab(PEER_TO_SITE) as lab, ExitStack() as stack:
        home = {"nas.home": "10.10.10.230", "pi4.home": "10.10.10.10"}
        stack.enter_context(name_server(lab, "router", "10.10.10.1", home))
        stack.enter_context(name_server(lab, "internet", "203.0.113.1", {"example.com": "1.1.1.1"}))
        stack.enter_context(stub_resolver(lab, "laptop"))
        typed(lab, "laptop", "resolvectl dns eth0 203.0.113.1")
        lab.configure("laptop", LAPTOP.replace("ListenPort", f"{HOOK}\nListenPort"))
        typed(lab, "router", "wg-quick up wg0")
        yield lab


def test_names_of_home_are_asked_at_home_and_others_are_not(lab: Lab):
    assert asked(lab, "laptop", "nas.home") == ""
    lines = wg_quick_up(lab, "laptop", "home0")
    assert lines[-1] == r"[#] resolvectl dns home0 10.10.10.1; resolvectl domain home0 \~home"
    shown = typed(lab, "laptop", "resolvectl status home0").stdout
    assert "DNS Servers: 10.10.10.1" in shown
    assert "DNS Domain: ~home" in shown
    with (capturing(lab, "internet", "to-laptop", "port 53") as outside,
          capturing(lab, "laptop", "home0", "port 53") as inside):  # fmt: skip
        assert asked(lab, "laptop", "nas.home") == "10.10.10.230"
        assert asked(lab, "laptop", "example.com") == "1.1.1.1"
    assert not outside.matching("nas.home")
    assert outside.matching("example.com")
    assert inside.matching("nas.home")
    assert not inside.matching("example.com")
    assert "0% packet loss" in typed(lab, "laptop", "ping -c 1 pi4.home").stdout


def test_after_down_home_is_unknown_again(lab: Lab):
    wg_quick_up(lab, "laptop", "home0")
    assert asked(lab, "laptop", "nas.home") == "10.10.10.230"
    typed(lab, "laptop", "wg-quick down home0; resolvectl status")
    assert asked(lab, "laptop", "nas.home") == ""
    assert asked(lab, "laptop", "example.com") == "1.1.1.1"

"""The default gateway and DNS: every question goes into the tunnel, to one server only."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from guide.page import built_lab, capturing, typed, up, wg_quick_up
from guide.resolver import asked, name_server, stub_resolver
from holloway.lab.topologies import DEFAULT_GATEWAY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holloway.lab import Lab

pytestmark = pytest.mark.root

LAPTOP = DEFAULT_GATEWAY.tunnels[1].config
HOOK = r"PostUp = resolvectl dns %i {server}; resolvectl domain %i \~."
NAME = "wg.example.com"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """The cafe's resolver lies; the laptop asks it unless configured otherwise."""
    with built_lab(DEFAULT_GATEWAY) as lab, ExitStack() as stack:
        for step in DEFAULT_GATEWAY.steps:
            if "iptables" in step.command:
                typed(lab, step.host, step.command)
        for host, address, answer in (("cafe", "192.168.7.1", "192.0.2.66"),
                                      ("dns", "10.48.0.5", "1.1.1.1"),
                                      ("gateway", "10.90.90.2", "1.1.1.2")):  # fmt: skip
            stack.enter_context(name_server(lab, host, address, {NAME: answer}))
        stack.enter_context(stub_resolver(lab, "laptop"))
        typed(lab, "laptop", "resolvectl dns eth0 192.168.7.1")
        yield lab


def configure(lab: Lab, server: str) -> str:
    hook = HOOK.format(server=server)
    lab.configure("laptop", LAPTOP.replace("ListenPort", f"{hook}\nListenPort"))
    return hook.removeprefix("PostUp = ").replace("%i", "wg0")


def test_before_the_tunnel_the_cafe_answers(lab: Lab):
    assert asked(lab, "laptop", NAME) == "192.0.2.66"


@pytest.mark.parametrize(
    ("server", "answer"), [("10.48.0.5", "1.1.1.1"), ("10.90.90.2", "1.1.1.2")]
)
def test_every_question_goes_to_the_tunnels_server(lab: Lab, server: str, answer: str):
    hook = configure(lab, server)
    typed(lab, "gateway", "wg-quick up gateway0")
    try:
        lines = wg_quick_up(lab, "laptop", "wg0")
        assert lines[-2:] == [
            "[#] wg set wg0 private-key /etc/wireguard/wg0.key",
            f"[#] {hook}",
        ]
        with (capturing(lab, "cafe", "lan0", "port 53") as cafe,
              capturing(lab, "laptop", "wg0", "port 53") as tunnel):  # fmt: skip
            assert asked(lab, "laptop", NAME) == answer
        assert cafe.lines == []
        assert tunnel.matching(f"> {server}.53")
        assert len(tunnel.matching(".53:")) == len(tunnel.matching(f"> {server}.53"))
        shown = typed(lab, "laptop", "resolvectl status wg0").stdout
        assert f"DNS Servers: {server}" in shown
        assert "DNS Domain: ~." in shown
        typed(lab, "laptop", "wg-quick down wg0; wg-quick up wg0")
        assert asked(lab, "laptop", NAME) == answer
    finally:
        typed(lab, "laptop", "wg-quick down wg0; resolvectl status")
        typed(lab, "gateway", "wg-quick down gateway0")
    assert asked(lab, "laptop", NAME) == "192.0.2.66"


def test_the_hook_may_be_run_by_hand(lab: Lab):
    lab.configure("laptop")
    with up(lab, "gateway:gateway0", "laptop:wg0"):
        typed(lab, "laptop", r"resolvectl dns wg0 10.48.0.5; resolvectl domain wg0 \~.")
        assert asked(lab, "laptop", NAME) == "1.1.1.1"

"""Troubleshooting: what `watch wg` shows of two peers, one of them connected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from guide.page import answers, laid, shown_peers, typed, up
from holloway.lab.topologies import HUB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holloway.lab import Lab

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with laid(HUB) as lab:
        yield lab


def test_the_connected_peer_comes_first_and_the_other_has_its_addresses_only(lab: Lab):
    with up(lab, "router:wg0", "ontheroad:wg0"):
        # The file has the laptop first.
        assert answers(lab, "ontheroad", "10.10.11.1") == 2
        assert shown_peers(lab, "router") == [
            ["peer", "endpoint", "allowed ips", "latest handshake", "transfer"],
            ["peer", "allowed ips"],
        ]
        shown = typed(lab, "router", "wg show").stdout
        assert shown.index(lab.public_key("ontheroad")) < shown.index(lab.public_key("laptop"))


def test_watch_wg_draws_it_on_a_terminal(lab: Lab):
    with up(lab, "router:wg0"):
        terminal = 'script -qec "timeout 2 watch -n 0.5 wg" /dev/null'
        screen = typed(lab, "router", f"TERM=xterm COLUMNS=100 LINES=40 {terminal}",
                       check=False).stdout  # fmt: skip
        assert "interface: wg0" in screen
        assert "private key: (hidden)" in screen
        assert f"peer: {lab.public_key('laptop')}" in screen

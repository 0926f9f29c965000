"""Troubleshooting: what `watch wg` shows of two peers, one of them connected."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from guide.page import built_lab, ping_replies, shown_peers, typed, up
from holloway.lab.topologies import HUB
from hosts import BIN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holloway.lab import Lab

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with built_lab(HUB) as lab:
        yield lab


def test_the_connected_peer_comes_first_and_the_other_has_its_addresses_only(lab: Lab):
    with up(lab, "router:wg0", "ontheroad:wg0"):
        # The file has the laptop first.
        assert ping_replies(lab, "ontheroad", "10.10.11.1") == 2
        assert shown_peers(lab, "router") == [
            ["peer", "endpoint", "allowed ips", "latest handshake", "transfer"],
            ["peer", "allowed ips"],
        ]
        shown = typed(lab, "router", "wg show").stdout
        assert shown.index(lab.public_key("ontheroad")) < shown.index(lab.public_key("laptop"))


def test_watch_wg_draws_it_on_a_terminal(lab: Lab):
    with up(lab, "router:wg0"):
        screen = screen_until(lab, "router", "watch -n 0.5 wg", until=lab.public_key("laptop"))
        assert "interface: wg0" in screen
        assert "private key: (hidden)" in screen
        assert f"peer: {lab.public_key('laptop')}" in screen


def screen_until(lab: Lab, host: str, command: str, *, until: str) -> str:
    """Run a command on a terminal until it has drawn something, or for half a minute.

    It is killed outright: `watch` can hang when it gets a signal while it starts.
    """
    program = command.split(maxsplit=1)[0]
    terminal = (
        f"TERM=xterm COLUMNS=100 LINES=40 timeout -s KILL 30 script -qec '{command}' /dev/null"
    )
    screen = b""
    with lab[host].popen("bash", "-c", f"PATH={BIN}:$PATH; {terminal}") as running:
        assert running.stdout is not None
        while until.encode() not in screen and (more := os.read(running.stdout.fileno(), 65536)):
            screen += more
        lab.sh(host, f"pkill -KILL -x {program}", check=False)
        running.stdout.read()
    return screen.decode()

"""An idle tunnel causes no wake-ups: it costs memory and no processor time."""

from __future__ import annotations

import time
from contextlib import ExitStack

import pytest
from many_peers import configuration
from tunnel import Tunnel

from hosts import WG

pytestmark = [pytest.mark.root, pytest.mark.slow]

KEEPALIVE = 32
"""Bytes of a transport message without a packet (paper, 5.4.6)."""
SECONDS = 14
"""Of which ten pass until the last one who got something owes a sign of life."""
FEW = 16
"""Switches of all threads of both devices: to send that, to take it, to look once more."""


def test_an_idle_tunnel_wakes_nobody_with_one_peer_or_with_a_thousand() -> None:
    with ExitStack() as stack:
        tunnels = [Tunnel("holloway", stack) for _ in range(2)]
        others = "".join(configuration(1000)[1:])
        for host in tunnels[1].hosts:
            host.write("/run/more.conf", others)
            host.run(WG["original"], "addconf", "wg0", "/run/more.conf")
        assert [len(tunnel.ping(1)) for tunnel in tunnels] == [1, 1]
        received = [tunnel.received(2) for tunnel in tunnels]
        switches = [tunnel.switches() for tunnel in tunnels]
        time.sleep(SECONDS)
        assert [
            tunnel.switches() - before <= FEW
            for tunnel, before in zip(tunnels, switches, strict=True)
        ] == [True, True]
        assert [
            tunnel.received(2) - before for tunnel, before in zip(tunnels, received, strict=True)
        ] == [KEEPALIVE, KEEPALIVE]
        assert [len(tunnel.ping(1)) for tunnel in tunnels] == [1, 1]

"""An idle tunnel causes no wake-ups, and costs a bounded part of memory."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack

import pytest
from many_peers import configuration
from processes import for_each_process
from tunnel import PROGRAMS, Tunnel

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


ASYNCIO = "import asyncio; print(open('/proc/self/smaps_rollup').read())"


def test_an_idle_device_with_its_monitor_has_less_memory_of_its_own_than_two_asyncios() -> None:
    """Pages of files, of which Python and libraries have as many in memory as they like, aside."""
    with ExitStack() as stack:
        tunnel = Tunnel("holloway", stack)
        found = for_each_process(
            tunnel.hosts[0], "grep ^Anonymous: $p/smaps_rollup", include=PROGRAMS
        )
    device_and_monitor = [int(words[1]) for words in found]
    command = [sys.executable, "-c", ASYNCIO]
    shown = subprocess.run(command, check=True, capture_output=True, text=True)
    (asyncio,) = [int(line.split()[1]) for line in shown.stdout.splitlines() if "Anonym" in line]
    assert len(device_and_monitor) == 2
    assert sum(device_and_monitor) < 2 * asyncio

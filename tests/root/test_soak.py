"""A bounded slice of `make soak`: each fault once, under traffic, and the hub leaks nothing."""

from __future__ import annotations

import random
from contextlib import ExitStack

import pytest
from soak_faults import FAULTS, RECOVERY_SECONDS
from soak_hosts import Hub

from hosts import eventually

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(240)]


def test_a_hub_and_its_peers_find_each_other_after_every_fault() -> None:
    choose = random.Random(7)
    with ExitStack() as stack:
        hub = Hub(stack, ("holloway", "holloway"))
        for peer in hub.peers:
            assert hub.recovers(peer, RECOVERY_SECONDS) is not None
        before = hub.holds()
        for number, (name, cause) in enumerate(FAULTS.items()):
            peer = hub.peers[number % len(hub.peers)]
            cause(hub, peer, choose)
            assert hub.recovers(peer, RECOVERY_SECONDS) is not None, name
            hub.keep_traffic_going()
        assert hub.carried() > 0
        hub.stop_traffic()

        def has_leaked() -> bool:
            after = hub.holds()
            return after.descriptors > before.descriptors or after.threads > before.threads

        assert eventually(lambda: not has_leaked(), 10), (before, hub.holds())

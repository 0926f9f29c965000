"""A tunnel recovers from every mishap of its underlay and of its peer.

`bench/mishaps.py` measures how soon. What no namespace provides, suspend and another wall clock,
is in `tests/guest/test_mishaps.py`.
"""

from __future__ import annotations

import time
from contextlib import ExitStack

import pytest

from hosts import eventually
from underlay_mishaps import MISHAPS, Pair

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.spread]


@pytest.mark.parametrize("name", MISHAPS)
def test_a_tunnel_recovers_when(name: str) -> None:
    mishap = MISHAPS[name]
    with ExitStack() as stack:
        pair = Pair("holloway", stack, version=mishap.version)
        pings = stack.enter_context(pair.pings(mishap.sender))
        assert pings.seconds_to_answer(0) is not None
        handshake = pair.latest_handshake()
        mishap.strike(pair)
        began = time.time()
        assert not mishap.interrupts or pings.count(began - 0.5) == 0
        mishap.mend(pair)
        assert pings.seconds_to_answer(began) is not None
        assert eventually(lambda: mishap.has_struck(pair))
        assert not mishap.keeps_session or pair.latest_handshake() == handshake
        assert eventually(lambda: pings.count(began) > 20), "it works once and no more"

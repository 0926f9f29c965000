"""A process that ends a device and makes another one with the same keys at once."""

from __future__ import annotations

import pytest

from holloway.core.sent_initiations import SPACING
from sim.pair import Pair, seconds


def reopen(pair: Pair) -> None:
    pair.a.reopen()
    pair.a.configure(pair.b)


def test_each_new_device_has_its_session_at_once() -> None:
    pair = Pair()
    sent = []
    for _ in range(5):
        sent.append(pair.a.send_data())
        pair.run(0.06)
        reopen(pair)
        sent.append(pair.a.send_data())
        pair.run(0.001)
        reopen(pair)
    pair.run(1)
    # The devices that lived for a millisecond sent nothing.
    assert pair.b.received == sent[::2]
    assert not any(pair.b.device.discards().values())


@pytest.mark.parametrize("after", [0, 0.001, 0.019, 0.021, 1])
def test_the_next_initiation_is_neither_a_flood_nor_a_replay(after: float) -> None:
    pair = Pair()
    pair.link.latency = 0.0001
    pair.a.send_data()
    pair.run(after)
    reopen(pair)
    sent = pair.a.send_data()
    pair.run(SPACING / 1e9 + 0.01)
    assert pair.b.received[-1] == sent
    assert not any(pair.b.device.discards().values())


def test_a_clock_that_is_set_back_between_two_devices_does_no_harm() -> None:
    pair = Pair()
    pair.a.send_data()
    pair.run(1)
    pair.a.wall_offset -= seconds(3600)
    reopen(pair)
    sent = pair.a.send_data()
    pair.run(1)
    assert pair.b.received[-1] == sent


def test_a_device_that_has_waited_sends_nothing_after_all_if_the_other_side_was_first() -> None:
    pair = Pair()
    pair.link.latency = 0.001
    pair.a.send_data()
    pair.run(0.002)
    reopen(pair)
    pair.b.plane.only().drop_staged()
    pair.b.reopen()
    pair.b.configure(pair.a)
    pair.a.send_data()
    pair.b.send_data()
    pair.run(1)
    assert pair.a.handshakes_started == 0
    assert pair.b.handshakes_started == 1
    assert len(pair.a.received) == len(pair.b.received) == 1

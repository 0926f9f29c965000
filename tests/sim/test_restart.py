"""A device without the sessions that its peers have with it: how soon it has new ones."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from holloway.core.constants import RECONNECT_SPACING, REJECT_AFTER_TIME, REKEY_TIMEOUT, SECOND
from holloway.key import Key
from holloway.model import DeviceUpdate, PeerUpdate
from sim.device import SimDevice
from sim.pair import Pair, Side, seconds
from sim.plane import SimPlane
from sim.values import SimEndpoint, TransportDatagram


def restart(pair: Pair, side: Side, *, remembers: bool) -> None:
    """A new process that has the configuration, and perhaps what the one before wrote down."""
    other = pair.b if side is pair.a else pair.a
    side.restart()
    if remembers:
        side.device.remember(pair.now, {other.public_key.raw: other.address})
    side.configure(other)


def stray(pair: Pair, side: Side, remote: SimEndpoint) -> None:
    """Data under an index that no session has, with a source that anybody can forge."""
    side.deliver(TransportDatagram(12345, b"", 0, b"forged"), remote)


def test_data_of_a_peer_whose_session_is_lost_brings_up_a_new_one() -> None:
    pair = Pair.established()
    restart(pair, pair.b, remembers=False)
    pair.run(1)
    assert pair.b.handshakes_started == 0  # without traffic it is silent
    pair.a.send_data()  # lost: the new process has no session
    pair.run(0.1)
    sent = pair.a.send_data()
    pair.run(0.1)
    assert pair.b.received == [sent]
    assert (pair.a.handshakes_started, pair.b.handshakes_started) == (1, 1)


def test_a_device_that_remembers_a_session_begins_a_new_one_without_traffic() -> None:
    pair = Pair.established()
    restart(pair, pair.b, remembers=True)
    pair.run(0.1)
    sent = pair.a.send_data()
    pair.run(0.1)
    assert pair.b.received == [sent]
    assert pair.b.handshakes_started == 1


def test_a_remembered_peer_without_an_endpoint_is_where_it_was() -> None:
    pair = Pair.established()
    pair.b.restart()
    pair.b.device.remember(pair.now, {pair.a.public_key.raw: pair.a.address})
    pair.b.device.up(pair.now)
    peer = PeerUpdate(pair.a.public_key)
    pair.b.update(DeviceUpdate(pair.b.private_key, 51820, peers=(peer,)))
    pair.run(0.1)
    assert pair.b.latest_handshake > 0


def test_a_configured_endpoint_goes_before_a_remembered_one() -> None:
    pair = Pair.established()
    pair.b.restart()
    elsewhere = SimEndpoint("192.0.2.99", 51820)
    pair.b.device.remember(pair.now, {pair.a.public_key.raw: elsewhere})
    pair.b.configure(pair.a)
    assert pair.b.peer.endpoint == pair.a.address


def test_a_session_that_cannot_live_any_more_is_not_remembered() -> None:
    pair = Pair.established()
    pair.b.restart()
    pair.b.device.remember(pair.now, {pair.a.public_key.raw: pair.a.address})
    pair.run(REJECT_AFTER_TIME / SECOND)
    pair.b.configure(pair.a)
    pair.run(10)
    assert pair.b.handshakes_started == 0


def test_a_peer_that_is_gone_gets_one_initiation_and_no_more() -> None:
    pair = Pair.established()
    pair.link.cut()
    restart(pair, pair.b, remembers=True)
    pair.run(200)
    assert pair.b.handshakes_started == 1
    pair.link.mend()
    sent = pair.b.send_data()  # traffic of our own is not held up
    pair.run(1)
    assert pair.a.received[-1] == sent


def test_traffic_makes_the_one_initiation_the_first_of_many() -> None:
    pair = Pair.established()
    pair.link.cut()
    restart(pair, pair.b, remembers=True)
    pair.run(1)
    sent = pair.b.send_data()
    pair.run(8)
    pair.link.mend()
    pair.run(8)
    assert pair.a.received[-1] == sent


def test_initiations_without_traffic_are_spread_out() -> None:
    count, now = 20, seconds(1000)
    plane = SimPlane(lambda: now)
    device = SimDevice(plane, random=Random(1).randbytes, wall=lambda: now)
    keys = [Key(bytes([number]) * 32).clamped().public() for number in range(1, count + 1)]
    device.remember(now, {key.raw: SimEndpoint("192.0.2.9", 1) for key in keys})
    device.configure(now, DeviceUpdate(Key(bytes(range(32))).clamped()))
    device.configure(now, DeviceUpdate(peers=tuple(map(PeerUpdate, keys))))
    device.up(now)
    while (due := device.next_timeout()) is not None and due < seconds(1001):
        now = max(now, due)
        device.handle_timeout(now)
    sent = plane.happened("initiation")
    assert [at - sent[0] for at in sent] == [n * RECONNECT_SPACING for n in range(count)]


@pytest.mark.parametrize("gap", [0.1, 1.0])
def test_forged_data_of_a_peer_that_is_gone_causes_one_initiation_in_five_seconds(
    gap: float,
) -> None:
    pair = Pair()
    pair.link.cut()
    pair.every(gap, lambda: stray(pair, pair.b, pair.a.address), until=60)
    pair.run(60)
    started = pair.b.plane.happened("initiation")
    assert 2 <= len(started) <= 12
    assert all(b - a >= REKEY_TIMEOUT for a, b in pairwise(started))


def test_forged_data_of_a_peer_with_a_session_causes_nothing() -> None:
    pair = Pair.established()
    pair.every(0.5, lambda: stray(pair, pair.b, pair.a.address), until=60)
    pair.run(60)
    assert pair.b.handshakes_started == 0


def test_forged_data_of_strangers_causes_nothing() -> None:
    pair = Pair()
    stray(pair, pair.b, SimEndpoint("192.0.2.77", 51820))
    pair.run(10)
    assert pair.b.handshakes_started == 0


def test_a_session_that_comes_meanwhile_makes_the_initiation_needless() -> None:
    pair = Pair.established()
    pair.b.restart()
    pair.b.device.remember(pair.now, {pair.a.public_key.raw: pair.a.address})
    pair.b.configure(pair.a)
    pair.b.send_data()
    pair.run(1)
    assert pair.b.handshakes_started == 1

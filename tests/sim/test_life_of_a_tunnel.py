"""The brain through a tunnel's life: sessions, renewal, silence and loss."""

from __future__ import annotations

import itertools

import pytest

from holloway.core.constants import ERASE_AFTER_TIME, REKEY_TIMEOUT, REKEY_TIMEOUT_JITTER, SECOND
from holloway.key import Key
from holloway.model import DeviceUpdate, PeerUpdate
from sim.pair import Pair, seconds


def test_the_first_packet_brings_up_a_session_and_arrives() -> None:
    pair = Pair()
    sent = pair.a.send_data()
    pair.run(1)
    assert pair.b.received == [sent]
    assert pair.a.handshakes_started == 1


def test_packets_staged_during_the_handshake_arrive_in_order_and_no_keepalive_is_added() -> None:
    pair = Pair()
    sent = [pair.a.send_data() for _ in range(5)]
    pair.run(1)
    assert pair.b.received == sent
    assert pair.a.keepalives_sent == 0


def test_responder_sends_no_data_before_confirmation() -> None:
    pair = Pair()
    pair.a.send_data()
    pair.run(0.015)  # the initiation has arrived, and the response has not
    assert pair.b.peer.next is not None
    pair.b.send_data()
    assert pair.b.plane.happened("data") == []
    pair.run(1)
    assert len(pair.a.received) == 1


def test_a_handshake_without_data_is_confirmed_by_a_keepalive() -> None:
    pair = Pair()
    pair.a.peer.send_keepalive()
    pair.a.settle()
    pair.run(1)
    assert pair.a.keepalives_sent == 1
    assert pair.b.latest_handshake > 0


def test_data_received_is_answered_by_a_keepalive_after_10_seconds() -> None:
    pair = Pair.established()
    before = pair.b.keepalives_sent
    pair.a.send_data()
    pair.run(10.009)
    assert pair.b.keepalives_sent == before
    pair.run(0.002)
    assert pair.b.keepalives_sent == before + 1


def test_keepalives_are_not_answered_by_keepalives() -> None:
    pair = Pair.established()
    pair.a.send_data()
    pair.run(11)
    sent = (pair.a.keepalives_sent, pair.b.keepalives_sent)
    pair.run(100)
    assert (pair.a.keepalives_sent, pair.b.keepalives_sent) == sent


def test_the_keepalive_is_counted_from_the_first_packet_unanswered_and_not_from_the_last() -> None:
    pair = Pair.established()
    before = pair.b.keepalives_sent
    pair.every(1, pair.a.send_data, until=11)
    pair.run(11.02)
    assert pair.b.keepalives_sent == before + 1


def test_unanswered_data_starts_a_handshake_after_15_seconds() -> None:
    pair = Pair.established()
    pair.link.cut()
    pair.a.send_data()
    pair.run(14.999)
    assert pair.a.handshakes_started == 1
    pair.run(0.001 + REKEY_TIMEOUT_JITTER / SECOND)
    assert pair.a.handshakes_started == 2


def test_the_15_seconds_get_a_jitter_once_and_not_at_each_look() -> None:
    delays = set()
    for seed in range(1, 12):
        pair = Pair.established(seed=seed)
        pair.link.cut()
        start = pair.now
        pair.a.send_data()
        pair.run(16)
        delays.add(pair.a.plane.happened("initiation")[-1] - start)
    assert all(seconds(15) <= delay <= seconds(15) + REKEY_TIMEOUT_JITTER for delay in delays)
    assert len(delays) > 8


def test_the_initiator_renews_the_session_when_it_sends_after_120_seconds() -> None:
    pair = Pair.established()
    pair.run(120)
    pair.a.send_data()
    pair.run(1)
    assert pair.a.handshakes_started == 2
    assert pair.b.handshakes_started == 0


def test_the_responder_leaves_renewal_to_the_initiator() -> None:
    pair = Pair.established()
    pair.run(125)
    pair.b.send_data()
    pair.run(1)
    assert pair.a.handshakes_started == 1
    assert pair.b.handshakes_started == 0


def test_the_initiator_renews_once_when_it_receives_after_165_seconds() -> None:
    pair = Pair.established()
    pair.link.latency = 0.001
    pair.run(155)  # the session is 166 s old
    for _ in range(3):
        pair.b.send_data()
    pair.run(0.01)
    assert pair.a.handshakes_started == 2


def test_after_180_seconds_nothing_is_sent_or_accepted_under_a_session() -> None:
    pair = Pair.established()
    pair.run(170)
    received = len(pair.a.received)
    pair.b.send_data()  # the responder finds its session expired, and initiates
    pair.run(1)
    assert pair.b.handshakes_started == 1
    assert len(pair.a.received) == received + 1


def test_an_unanswered_initiation_is_repeated_every_5_seconds_with_jitter() -> None:
    pair = Pair()
    pair.link.cut()
    pair.a.send_data()
    pair.run(60)
    times = pair.a.plane.happened("initiation")
    gaps = {later - earlier for earlier, later in itertools.pairwise(times)}
    assert all(REKEY_TIMEOUT <= gap <= REKEY_TIMEOUT + REKEY_TIMEOUT_JITTER for gap in gaps)
    assert len(gaps) > 5


def test_retransmission_lets_the_kernel_choose_the_source_address_anew() -> None:
    pair = Pair()
    pair.link.cut()
    pair.a.send_data()
    pair.run(6)
    assert len(pair.a.plane.happened("forget source")) == 1


def test_after_20_unanswered_initiations_it_gives_up_and_drops_what_is_staged() -> None:
    pair = Pair()
    pair.link.cut()
    pair.a.send_data()
    pair.run(300)
    assert pair.a.handshakes_started == 20
    assert not pair.a.peer.staged


def test_traffic_after_giving_up_starts_again() -> None:
    pair = Pair()
    pair.link.cut()
    pair.a.send_data()
    pair.run(300)
    pair.link.mend()
    sent = pair.a.send_data()
    pair.run(1)
    assert pair.b.received == [sent]


def test_traffic_while_it_waits_keeps_it_from_giving_up() -> None:
    pair = Pair()
    pair.link.cut()
    pair.every(3, pair.a.send_data, until=600)
    pair.run(600)
    assert pair.a.handshakes_started > 110


def test_keys_are_erased_540_seconds_after_the_last_session() -> None:
    pair = Pair.established()
    pair.link.cut()
    pair.run((ERASE_AFTER_TIME / SECOND) - 12)
    assert pair.a.peer.sessions()
    pair.run(2)
    assert not pair.a.peer.sessions()
    assert not pair.b.peer.sessions()


def test_an_idle_tunnel_plans_nothing_once_its_keys_are_erased() -> None:
    pair = Pair.established()
    pair.run(600)
    assert pair.a.device.next_timeout() is None
    assert pair.b.device.next_timeout() is None


def test_a_day_of_traffic_loses_nothing_on_a_clean_link() -> None:
    pair = Pair()
    day = 24 * 3600
    pair.every(7, pair.a.send_data, until=day)
    pair.every(13, pair.b.send_data, until=day)
    pair.run(day + 60)
    assert len(pair.b.received) == day // 7
    assert len(pair.a.received) == day // 13
    assert pair.a.handshakes_started + pair.b.handshakes_started == pytest.approx(720, abs=40)


def test_a_bad_link_converges() -> None:
    pair = Pair(seed=5)
    pair.link.loss, pair.link.jitter, pair.link.duplication = 0.3, 0.2, 0.1
    pair.every(1, pair.a.send_data, until=3600)
    pair.every(1, pair.b.send_data, until=3600)
    pair.run(3610)
    assert len(pair.b.received) == len(set(pair.b.received)) > 3600 * 0.6
    assert len(pair.a.received) == len(set(pair.a.received)) > 3600 * 0.6


def test_a_session_is_known_until_it_ends_or_a_renewal_is_not_answered() -> None:
    pair = Pair()
    number = pair.a.peer.id

    def has_session() -> bool:
        return pair.a.device.has_session(pair.now, number)

    assert not has_session()
    pair.a.send_data()
    assert not has_session()
    pair.run(1)
    assert has_session()
    pair.link.cut()
    pair.a.send_data()
    pair.run(15.4)  # it starts over, because nothing came back
    assert has_session()
    pair.run(REKEY_TIMEOUT / SECOND)
    assert not has_session()
    shown = pair.a.device.handshake(pair.now, number)
    assert shown is not None
    assert (shown.has_session, shown.is_undecryptable) == (False, False)
    assert shown.latest_handshake == pair.a.latest_handshake
    assert (shown.public_key, str(shown.endpoint)) == (pair.b.public_key.raw, "192.0.2.2:51820")
    pair.link.mend()
    pair.run(6)
    assert has_session()
    pair.link.cut()
    pair.run(181)
    assert not has_session()
    assert pair.a.device.handshake(pair.now, number + 1) is None
    assert not pair.a.device.has_session(pair.now, number + 1)


def test_a_peer_without_an_endpoint_has_no_handshake_to_show() -> None:
    pair = Pair()
    key = Key(bytes([9] * 32)).clamped().public()
    pair.a.update(DeviceUpdate(peers=(PeerUpdate(key),)))
    (number,) = (
        each for each in pair.a.plane.peers if each != pair.a.device.snapshot().peers[0].id
    )
    shown = pair.a.device.handshake(pair.now, number)
    assert shown is not None
    assert shown.endpoint is None

"""The brain through a tunnel's life: sessions, renewal, loss, restarts, clocks and keys."""

from __future__ import annotations

import itertools

import pytest

from holloway.core.constants import (
    ERASE_AFTER_TIME,
    REKEY_TIMEOUT,
    REKEY_TIMEOUT_JITTER,
    SECOND,
)
from holloway.key import Key
from holloway.model import DeviceUpdate, Endpoint, PeerUpdate
from sim.pair import Pair, seconds
from sim.plane import Datagram, SimEndpoint


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


@pytest.mark.parametrize("seed", range(1, 9))
def test_both_initiating_at_once_settle_on_a_session_and_lose_nothing(seed: int) -> None:
    pair = Pair(seed=seed)
    to_b, to_a = pair.a.send_data(), pair.b.send_data()
    pair.run(6)
    assert pair.b.received == [to_b]
    assert pair.a.received == [to_a]


def test_a_restarted_peer_is_found_again() -> None:
    pair = Pair.established()
    pair.b.restart()
    pair.b.configure(pair.a)
    pair.a.send_data()  # lost: the new process has no session
    pair.run(16)
    sent = pair.a.send_data()
    pair.run(1)
    assert pair.b.received == [sent]


def test_a_restarted_peer_that_speaks_first_is_heard_at_once() -> None:
    pair = Pair.established()
    pair.b.restart()
    pair.b.configure(pair.a)
    sent = pair.b.send_data()
    pair.run(1)
    assert pair.a.received[-1] == sent


def test_a_wall_clock_set_back_does_not_lock_us_out() -> None:
    pair = Pair.established()
    pair.a.wall_offset -= seconds(86_400)
    pair.run(200)
    sent = pair.a.send_data()
    pair.run(1)
    assert pair.b.received[-1] == sent


def test_a_replayed_initiation_is_counted_and_not_answered() -> None:
    pair = Pair.established()
    pair.run(30)
    before = pair.b.plane.happened("response")
    pair.b.deliver(pair.b.heard[0], pair.a.address)
    pair.run(1)
    assert pair.b.plane.happened("response") == before
    assert pair.b.device.discards()["replayed_initiation"] == 1


def test_a_replayed_initiation_from_elsewhere_does_not_move_the_peer() -> None:
    pair = Pair.established()
    pair.run(30)
    pair.b.deliver(pair.b.heard[0], SimEndpoint("198.51.100.66", 1))
    assert pair.b.peer.endpoint == pair.a.address


def test_initiations_that_overtake_each_other_leave_the_newest_standing() -> None:
    pair = Pair()
    pair.link.cut()
    pair.a.send_data()
    caught: list[Datagram] = []
    pair.a.plane.transmit = lambda datagram, endpoint: caught.append(datagram)
    pair.run(11)
    older, newer = caught[-2:]
    pair.b.deliver(newer, pair.a.address)
    pair.run(1)
    pair.b.deliver(older, pair.a.address)
    assert len(pair.b.plane.happened("response")) == 1
    assert pair.b.device.discards()["replayed_initiation"] == 1


def test_different_preshared_keys_never_give_a_session_and_say_so() -> None:
    pair = Pair(preshared_key=Key(bytes([1] * 32)))
    other = PeerUpdate(pair.b.public_key, preshared_key=Key(bytes([2] * 32)))
    pair.a.update(DeviceUpdate(peers=(other,)))
    pair.a.send_data()
    pair.run(30)
    assert pair.b.received == []
    assert pair.a.device.discards()["undecryptable"] >= 5
    assert pair.a.device.peer_discards(pair.b.public_key) == {
        "undecryptable": pair.a.device.discards()["undecryptable"]
    }


def test_a_preshared_key_set_on_both_sides_keeps_the_session_and_holds_from_the_next() -> None:
    pair = Pair.established()
    key = Key(bytes([7] * 32))
    pair.a.update(DeviceUpdate(peers=(PeerUpdate(pair.b.public_key, preshared_key=key),)))
    sent = pair.a.send_data()
    pair.run(1)
    assert pair.b.received[-1] == sent
    assert pair.a.handshakes_started == 1
    pair.b.update(DeviceUpdate(peers=(PeerUpdate(pair.a.public_key, preshared_key=key),)))
    pair.run(130)
    sent = pair.a.send_data()
    pair.run(60)
    assert pair.a.handshakes_started == 2
    sent = pair.a.send_data()
    pair.run(1)
    assert pair.b.received[-1] == sent


def test_a_preshared_key_set_between_the_two_messages_is_used() -> None:
    pair = Pair()
    key = Key(bytes([7] * 32))
    pair.b.update(DeviceUpdate(peers=(PeerUpdate(pair.a.public_key, preshared_key=key),)))
    sent = pair.a.send_data()
    pair.run(0.015)
    pair.a.update(DeviceUpdate(peers=(PeerUpdate(pair.b.public_key, preshared_key=key),)))
    pair.run(1)
    assert pair.b.received == [sent]


def test_a_new_private_key_starts_a_handshake_at_once() -> None:
    pair = Pair.established()
    private = Key(bytes([9] * 32))
    pair.b.update(
        DeviceUpdate(
            replace_peers=True,
            peers=(PeerUpdate(private.public(), endpoint=Endpoint("192.0.2.1", 51820)),),
        )
    )
    pair.a.update(DeviceUpdate(private_key=private))
    sent = pair.a.send_data()
    pair.run(1)
    assert pair.b.received[-1] == sent
    assert pair.a.handshakes_started == 2


def test_a_peer_that_moves_is_followed_when_it_has_proven_itself() -> None:
    pair = Pair.established()
    pair.a.address = SimEndpoint("198.51.100.7", 9999)
    pair.a.send_data()
    pair.run(1)
    sent = pair.b.send_data()
    pair.run(1)
    assert pair.a.received[-1] == sent
    assert pair.b.device.state("sim").peers[0].endpoint == Endpoint("198.51.100.7", 9999)


def test_persistent_keepalives_go_out_after_silence_only() -> None:
    pair = Pair.established()
    update = PeerUpdate(pair.b.public_key, persistent_keepalive=25)
    pair.a.update(DeviceUpdate(peers=(update,)))
    before = pair.a.keepalives_sent
    pair.every(5, pair.a.send_data, until=60)
    pair.run(60)
    assert pair.a.keepalives_sent == before
    pair.run(45)  # b's last keepalive comes at 70 s at the latest
    assert pair.a.keepalives_sent == before + 1


def test_persistent_keepalives_go_on_whatever_happens() -> None:
    pair = Pair()
    update = PeerUpdate(pair.b.public_key, persistent_keepalive=25)
    pair.a.update(DeviceUpdate(peers=(update,)))
    pair.run(600)
    pair.link.cut()
    pair.run(3600)
    pair.link.mend()
    pair.run(40)
    assert pair.now + 1_700_000_000 * SECOND - pair.a.latest_handshake < seconds(41)


def test_a_keepalive_turned_on_is_sent_at_once() -> None:
    pair = Pair.established()
    before = pair.a.keepalives_sent
    update = PeerUpdate(pair.b.public_key, persistent_keepalive=3600)
    pair.a.update(DeviceUpdate(peers=(update,)))
    assert pair.a.keepalives_sent == before + 1
    pair.a.update(DeviceUpdate(peers=(update,)))
    assert pair.a.keepalives_sent == before + 1


def test_down_forgets_sessions_and_up_makes_new_ones_without_waiting() -> None:
    pair = Pair.established()
    pair.a.device.down(pair.now)
    assert not pair.a.peer.sessions()
    assert pair.a.device.next_timeout() is None
    pair.a.device.up(pair.now)
    sent = pair.a.send_data()
    pair.run(1)
    assert pair.b.received[-1] == sent


def test_up_with_a_persistent_keepalive_starts_a_handshake() -> None:
    pair = Pair()
    update = PeerUpdate(pair.b.public_key, persistent_keepalive=25)
    pair.a.device.down(pair.now)
    pair.a.update(DeviceUpdate(peers=(update,)))
    pair.a.device.up(pair.now)
    pair.a.settle()
    pair.run(1)
    assert pair.b.latest_handshake > 0


def test_session_indices_are_random_and_unlike() -> None:
    pair = Pair()
    pair.every(60, pair.a.send_data, until=36_000)
    pair.run(36_000)
    indices = [int.from_bytes(each.message[4:8], "little") for each in pair.b.heard]
    assert len(set(indices)) == len(indices) >= 200
    assert max(indices) - min(indices) > 2**31


def test_bytes_are_counted_as_datagrams_with_their_macs() -> None:
    pair = Pair()
    pair.a.send_data(b"x" * 64)
    pair.run(1)
    peer = pair.a.device.state("sim").peers[0]
    assert (peer.tx_bytes, peer.rx_bytes) == (148 + 96, 92)


def test_the_brain_sleeps_while_packets_flow() -> None:
    pair = Pair.established()
    before = pair.a.wakings + pair.b.wakings
    pair.every(0.01, pair.a.send_data, until=60)
    pair.every(0.02, pair.b.send_data, until=60)
    pair.run(60)
    assert len(pair.b.received) > 5990
    assert pair.a.wakings + pair.b.wakings - before < 20

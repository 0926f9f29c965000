"""What happens to a tunnel: restarts, clocks, replays, new keys, moves, and being down."""

from __future__ import annotations

import pytest

from holloway.core.constants import SECOND
from holloway.key import Key
from holloway.model import DeviceUpdate, Endpoint, PeerUpdate
from sim.pair import Pair, seconds
from sim.values import CookieEvent, Datagram, SimEndpoint


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
    ((peer, counts),) = pair.a.device.peer_discards()
    assert peer.public_key == pair.b.public_key.raw
    assert counts == {"undecryptable": pair.a.device.discards()["undecryptable"]}


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


def test_an_initiation_is_sent_again_once_its_cookie_has_come() -> None:
    pair = Pair()
    pair.link.cut()
    pair.a.configure(pair.b)
    pair.b.configure(pair.a)
    sent = pair.a.send_data()
    pair.link.mend()
    pair.a.plane.push(CookieEvent(pair.a.peer.id))
    pair.a.settle()
    assert pair.a.handshakes_started == 2
    pair.run(1)
    assert pair.b.received == [sent]


def test_a_cookie_without_an_initiation_changes_nothing() -> None:
    pair = Pair.established()
    before = pair.a.handshakes_started
    pair.a.plane.push(CookieEvent(pair.a.peer.id))
    pair.a.settle()
    assert pair.a.handshakes_started == before


def test_two_that_always_speak_at_the_same_time_get_a_session() -> None:
    """Both initiate, both answer, and neither may forget that it has initiated."""
    pair = Pair()
    for side in (pair.a, pair.b):
        pair.every(0.005, side.send_data, until=60)
    pair.run(61)
    assert len(pair.b.received) == len(pair.a.received) == 12_000

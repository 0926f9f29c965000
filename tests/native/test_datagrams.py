"""One plane and a far end that is written out in Python: formats, and what strangers can send."""

from __future__ import annotations

import errno
import json
import os
import random
import socket
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from holloway._native import Confirmed, DebtBegan, Endpoint, Handshake, SendFailing, SessionNeeded
from holloway.core.constants import SECOND
from holloway.model import AllowedIP
from native.ends import allow, allowed_ips, boottime, loopback_address, until
from native.far import Far, initiation, response, udp_packet, with_macs

if TYPE_CHECKING:
    from holloway._native import Peer
    from native.ends import End

pytestmark = pytest.mark.root

UDP_SEGMENT = 103  # linux/udp.h
INSIDE = str(Path(__file__).parent / "inside.py")


def inside(near: End, *arguments: str) -> None:
    near.host.run(sys.executable, INSIDE, *arguments)


def received_inside(near: End, far: Far, *packets: bytes) -> list[list[object]]:
    """What a socket at the near end gets of these packets."""
    taking = near.host.popen(sys.executable, INSIDE, "receive", str(len(packets)))
    assert taking.stdout is not None
    assert taking.stdout.readline() == "ready\n"
    for packet in packets:
        far.send(far.seal(packet))
    output, errors = taking.communicate(timeout=60)
    assert taking.returncode == 0, errors
    got: list[list[object]] = json.loads(output)
    return got


def quiet(near: End) -> None:
    """Let nothing but the test's own packets out of the near end."""
    near.host.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")


def counted(near: End, reason: str, count: int) -> None:
    assert until(lambda: near.plane.discards()[reason] >= count), near.plane.discards()
    assert near.plane.discards()[reason] == count


def establish(near: End, far: Far) -> None:
    """A confirmed session, which begins with an empty packet."""
    near.install()
    assert far.open() == (0, b"")


def test_data_goes_out_padded_numbered_and_sealed(near: End, far: Far) -> None:
    quiet(near)
    establish(near, far)
    inside(near, "send", "one", "three")
    for number, payload in enumerate((b"one", b"three"), 1):
        counter, text = far.open()
        assert counter == number
        assert len(text) % 16 == 0
        length = struct.unpack_from(">H", text, 2)[0]
        assert text[28:length] == payload
        assert text[length:] == bytes(len(text) - length)


def test_a_full_packet_is_not_padded_beyond_the_mtu(near: End, far: Far) -> None:
    quiet(near)
    establish(near, far)
    inside(near, "send", "x" * (1420 - 28))
    assert len(far.receive()) == 1420 + 32


def test_data_comes_in(near: End, far: Far) -> None:
    near.install()
    got = received_inside(near, far, *(udp_packet(text) for text in (b"one", b"", b"three")))
    assert [payload for payload, _ in got] == ["one", "", "three"]
    assert near.peer.traffic()[0] == 64 + 64 + 80


def test_congestion_is_passed_on_both_ways(near: End, far: Far) -> None:
    quiet(near)
    establish(near, far)
    far.socket.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 3)
    got = received_inside(near, far, udp_packet(b"able", tos=2), udp_packet(b"not able"))
    assert [[payload, int(str(tos)) & 3] for payload, tos in got] == [["able", 3], ["not able", 0]]
    far.socket.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
    for tos, outer in ((0, 0), (0x88, 0), (1, 1), (2, 2), (3, 2)):
        inside(near, "send_marked", str(tos))
        _, control, _, _ = far.socket.recvmsg(2048, 64)
        assert control[0][2][0] == outer, tos


def test_a_keepalive_is_an_empty_message_and_needs_a_session(near: End, far: Far) -> None:
    near.peer.send_keepalive()
    near.expect(SessionNeeded)
    assert far.silent()
    near.install()
    assert far.open() == (0, b"")
    near.peer.send_keepalive()
    assert far.open() == (1, b"")
    # It is counted when the call returns, which is after it has arrived.
    assert until(lambda: near.peer.traffic() == (0, 64))


def test_tampered_replayed_and_foreign_datagrams_are_counted_and_harm_nothing(
    near: End, far: Far
) -> None:
    near.install()
    good = far.seal(udp_packet(b"good"))
    far.send(good)
    for number in range(3):
        far.send(good)
        counted(near, "replayed", number + 1)
    for at in (8, 16, len(good) - 1):
        far.send(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
    counted(near, "forged", 3)
    far.send(far.seal(b"", index=11))
    counted(near, "unknown_index", 1)
    assert near.peer.discards() == {"replayed": 3, "forged": 3}
    assert received_inside(near, far, udp_packet(b"still"))[0][0] == "still"


def test_a_train_that_ends_in_half_a_message_loses_only_that(near: End, far: Far) -> None:
    near.install()
    messages = [far.seal(udp_packet(bytes([number]) * 500)) for number in range(20)]
    send_train(far, b"".join(messages)[:-100], len(messages[0]))
    counted(near, "forged", 1)
    assert until(lambda: near.peer.traffic()[0] == 19 * len(messages[0]))


@pytest.mark.parametrize("size", [333, 559, 561, 1120, 4000, 65507])
def test_a_train_cut_at_the_wrong_places_is_counted_and_harms_nothing(
    near: End, far: Far, size: int
) -> None:
    """Whatever a sender's kernel, or ours, takes for one datagram: each is judged by itself."""
    near.install()
    train = b"".join(far.seal(udp_packet(bytes([number]) * 500)) for number in range(30))
    datagrams = -(-len(train) // size)
    send_train(far, train, size)

    def refused() -> int:
        counts = near.plane.discards()
        return sum(
            counts[name] for name in ("forged", "unknown_type", "unknown_index", "truncated")
        )

    assert until(lambda: refused() >= datagrams)
    assert refused() == datagrams
    assert received_inside(near, far, udp_packet(b"still"))[0][0] == "still"


def send_train(far: Far, train: bytes, size: int) -> None:
    """Send datagrams of `size` bytes that arrive as one train."""
    far.socket.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, size if size < len(train) else 0)
    far.send(train)
    far.socket.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 0)


def test_garbage_of_every_length_harms_nothing(near: End, far: Far) -> None:
    near.install()
    source = random.Random(1)
    lengths = [*range(2001), 65507]
    for length in lengths:
        body = source.randbytes(length)
        far.send(body)
        far.send(struct.pack("<II", 4, 10) + body[8:] if length >= 8 else body)
        far.send(bytes([source.randrange(1, 5), 0, 0, 0]) + body[4:] if length >= 4 else body)
        if length % 50 == 0:
            far.send(far.seal(b""))
            assert until(lambda: near.peer.traffic()[0] == 32 * far.counter), length
    assert sum(near.plane.discards().values()) > len(lengths)
    assert received_inside(near, far, udp_packet(b"still"))[0][0] == "still"
    assert all(isinstance(event, DebtBegan) for event in near.plane.events())


def test_an_inner_packet_must_be_whole_and_come_from_where_it_may(near: End, far: Far) -> None:
    near.install()
    far.send(far.seal(udp_packet(b"liar", length=200)))
    far.send(far.seal(bytes(32)))
    counted(near, "malformed_inner", 2)
    far.send(far.seal(udp_packet(b"other", source="10.77.0.3")))
    counted(near, "source_not_allowed", 1)
    assert near.peer.traffic()[0] == 0
    other = near.plane.peer(bytes(32))
    allow(other, "10.77.0.0/24")
    allow(near.peer, "10.77.0.3/32")
    assert received_inside(near, far, udp_packet(b"mine", source="10.77.0.3"))[0][0] == "mine"
    allow(other, "10.77.0.2/32")
    far.send(far.seal(udp_packet(b"moved")))
    counted(near, "source_not_allowed", 2)


def test_an_expired_session_neither_takes_nor_sends(near: End, far: Far) -> None:
    near.install(reject=boottime())
    far.send(far.seal(b""))
    counted(near, "expired", 1)
    inside(near, "send", "late")
    near.expect(SessionNeeded)
    assert far.silent()


def test_staged_packets_leave_in_order_and_only_the_newest_128(near: End, far: Far) -> None:
    quiet(near)
    inside(near, "send", *(f"number {number}" for number in range(140)))
    counted(near, "staged_overflow", 12)
    near.install()
    payloads = []
    for number in range(128):
        counter, text = far.open()
        assert counter == number
        payloads.append(text[28 : struct.unpack_from(">H", text, 2)[0]].decode())
    assert payloads == [f"number {number}" for number in range(12, 140)]


def test_staged_packets_can_be_given_up(near: End, far: Far) -> None:
    quiet(near)
    inside(near, "send", "one", "two")
    near.expect(SessionNeeded)
    assert until(lambda: near.peer.discards() == {} and bool(near.plane.discards()))
    near.peer.drop_staged()
    counted(near, "staged_dropped", 2)
    near.install()
    near.peer.send_keepalive()
    assert far.open() == (0, b"")


def test_stale_is_told_once_until_watched_again(near: End, far: Far) -> None:
    quiet(near)
    inside(near, "send", "one", "two")
    assert near.expect(SessionNeeded)
    inside(near, "send", "three")
    assert near.events(0.2) == []
    near.peer.arm_session_needed()
    inside(near, "send", "four")
    assert [type(event) for event in near.expect(SessionNeeded)] == [SessionNeeded]
    assert far.silent()


def test_a_session_to_be_renewed_is_told_on_sending_and_still_used(near: End, far: Far) -> None:
    quiet(near)
    near.install(renew_on_send=boottime())
    inside(near, "send", "one")
    near.expect(SessionNeeded)
    assert far.open()[0] == 0


def test_a_session_to_be_renewed_is_told_on_receiving_only_once(near: End, far: Far) -> None:
    near.install(renew_on_receive=boottime())
    for _ in range(3):
        far.send(far.seal(b""))
    near.expect(SessionNeeded)
    near.peer.arm_session_needed()
    far.send(far.seal(b""))
    assert until(lambda: near.peer.traffic()[0] == 4 * 32)
    assert near.plane.events() == []


def test_a_responders_session_is_confirmed_once_and_only_then_used(near: End, far: Far) -> None:
    quiet(near)
    near.install(confirmed=False)
    inside(near, "send", "waits")
    near.expect(SessionNeeded)
    assert far.silent()
    for _ in range(3):
        far.send(far.seal(b""))
    counter, text = far.open()
    assert counter == 0
    assert text[28:33] == b"waits"
    assert until(lambda: near.peer.traffic()[0] == 3 * 32)
    events = near.plane.events()
    assert [type(event) for event in events].count(Confirmed) == 1


def test_a_forged_packet_confirms_nothing(near: End, far: Far) -> None:
    near.install(confirmed=False)
    good = far.seal(b"")
    far.send(good[:-1] + bytes([good[-1] ^ 1]))
    counted(near, "forged", 1)
    assert near.plane.events() == []


def test_the_peer_is_followed_to_where_authentic_packets_come_from(near: End, far: Far) -> None:
    establish(near, far)
    with Far(near.port) as elsewhere:
        elsewhere.send(far.seal(b"")[:-1] + b"x")
        counted(near, "forged", 1)
        assert near.peer.endpoint == Endpoint("127.0.0.1", far.port)
        elsewhere.send(far.seal(b""))
        there = Endpoint("127.0.0.1", elsewhere.port)
        assert until(lambda: near.peer.endpoint == there)
        near.peer.send_keepalive()
        assert len(elsewhere.receive()) == 32
    assert far.silent()


def test_a_replayed_packet_moves_no_endpoint(near: End, far: Far) -> None:
    near.install()
    good = far.seal(b"")
    far.send(good)
    assert until(lambda: near.peer.traffic()[0] == 32)
    with Far(near.port) as elsewhere:
        elsewhere.send(good)
        counted(near, "replayed", 1)
    assert near.peer.endpoint == Endpoint("127.0.0.1", far.port)


def test_answers_leave_from_the_address_that_was_written_to(near: End, far: Far) -> None:
    establish(near, far)
    far.send(far.seal(b""), "127.0.0.9")
    assert until(lambda: near.peer.traffic()[0] == 32)
    assert near.peer.endpoint is not None
    assert near.peer.endpoint.local == "127.0.0.9"
    near.peer.send_keepalive()
    assert far.socket.recvfrom(64)[1][0] == "127.0.0.9"
    near.peer.forget_source()
    near.peer.send_keepalive()
    assert far.socket.recvfrom(64)[1][0] == "127.0.0.1"


def test_an_address_whose_route_leads_back_no_more_is_used_no_more(near: End, far: Far) -> None:
    """Not even where the peer still writes to it, until the route leads back again."""
    establish(near, far)
    assert near.plane.sticky_sources() == []

    def answered_from() -> str:
        heard = near.peer.traffic()[0] + 32
        far.send(far.seal(b""), "127.0.0.9")
        assert until(lambda: near.peer.traffic()[0] == heard)
        near.peer.send_keepalive()
        return str(far.socket.recvfrom(64)[1][0])

    far.send(far.seal(b""), "127.0.0.9")
    assert until(lambda: near.plane.sticky_sources() != [])
    [(number, path)] = near.plane.sticky_sources()
    assert (number, path.local, path.interface) == (near.peer.id, "127.0.0.9", 1)
    near.plane.set_source_valid(number, path, False)
    assert answered_from() == "127.0.0.1"
    [(number, path)] = near.plane.sticky_sources()
    assert (number, path.local) == (near.peer.id, "127.0.0.9")
    near.plane.set_source_valid(number, path, True)
    assert answered_from() == "127.0.0.9"


def test_a_source_address_that_is_gone_is_forgotten(near: End, far: Far) -> None:
    establish(near, far)
    # An address of the machine's own, where other runs of the tests have theirs.
    number = os.getpid()
    with loopback_address(f"10.78.{number >> 8 & 255}.{number & 255}") as address:
        far.send(far.seal(b""), address)
        assert until(lambda: near.peer.traffic()[0] == 32)
        near.peer.send_keepalive()
        assert far.socket.recvfrom(64)[1][0] == address
    near.peer.send_keepalive()
    assert far.socket.recvfrom(64)[1][0] == "127.0.0.1"
    assert near.peer.endpoint is not None
    assert near.peer.endpoint.local is None
    assert "send_failed" not in near.peer.discards()


def test_a_handshake_with_the_right_mac1_reaches_the_brain_without_its_macs(
    near: End, far: Far
) -> None:
    far.send(with_macs(initiation()))
    (event,) = near.expect(Handshake)
    assert isinstance(event, Handshake)
    assert (event.message, event.size) == (initiation(), 148)
    assert event.remote == Endpoint("127.0.0.1", far.port)
    assert event.remote.local == "127.0.0.1"


def test_handshakes_without_it_are_counted(near: End, far: Far) -> None:
    far.send(initiation() + bytes(32))
    counted(near, "bad_mac1", 1)
    near.plane.set_identity(None)
    far.send(with_macs(initiation()))
    counted(near, "no_identity", 1)
    assert near.plane.events() == []


def test_only_an_awaited_response_reaches_the_brain(near: End, far: Far) -> None:
    far.send(with_macs(response(77)))
    counted(near, "unexpected_response", 1)
    near.peer.send_handshake(initiation(sender=77), boottime())
    assert far.receive()[:116] == initiation(sender=77)
    far.send(with_macs(response(77)))
    (event,) = near.expect(Handshake)
    assert isinstance(event, Handshake)
    assert event.message == response(77)
    near.install(indices=(77, 20))
    far.send(with_macs(response(77)))
    counted(near, "unexpected_response", 2)
    far.send(far.seal(b"", index=77))
    assert until(lambda: near.peer.traffic()[0] == 32)


def test_a_newer_initiation_and_erasure_end_the_wait(near: End, far: Far) -> None:
    for sender in (77, 78):
        near.peer.send_handshake(initiation(sender=sender), boottime())
    far.send(with_macs(response(77)))
    counted(near, "unexpected_response", 1)
    near.peer.erase()
    far.send(with_macs(response(78)))
    counted(near, "unexpected_response", 2)


def test_handshakes_leave_with_their_own_traffic_class(near: End, far: Far) -> None:
    far.socket.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
    near.peer.send_handshake(initiation(), boottime())
    data, control, _, _ = far.socket.recvmsg(2048, 64)
    assert (len(data), control[0][2][0]) == (148, 0x88)
    assert near.peer.traffic() == (0, 148)


def test_a_flood_is_answered_with_cookies_and_bounded(near: End, far: Far) -> None:
    flood = with_macs(initiation())

    def answered() -> bool:
        for _ in range(500):
            far.send(flood)
        return near.plane.discards()["cookie_required"] > 0

    assert until(answered)
    reply = far.receive()
    assert (len(reply), reply[:8]) == (64, struct.pack("<II", 3, 5))
    assert len(near.plane.events(100_000)) <= 8192


def test_a_cookie_reply_that_answers_nothing_is_counted(near: End, far: Far) -> None:
    near.install()
    for index in (10, 99):
        far.send(struct.pack("<II", 3, index) + bytes(56))
    counted(near, "bad_cookie_reply", 2)
    assert near.peer.discards() == {"bad_cookie_reply": 1}


def test_an_erased_session_is_gone_and_a_removed_peer_too(near: End, far: Far) -> None:
    near.install()
    near.peer.erase()
    far.send(far.seal(b""))
    counted(near, "unknown_index", 1)
    near.peer.remove()
    assert near.peer.allowed() == []
    before = near.plane.discards()["no_peer"]
    inside(near, "send", "nobody's")
    assert until(lambda: near.plane.discards()["no_peer"] > before)
    near.peer.remove()


def test_without_an_endpoint_nothing_is_staged(near: End) -> None:
    quiet(near)
    inside(near, "send", "where to")
    counted(near, "no_endpoint", 1)
    assert near.plane.events() == []
    near.peer.send_handshake(initiation(), boottime())
    counted(near, "no_endpoint", 2)


def test_trouble_is_told_once_and_its_end_too(near: End, far: Far) -> None:
    quiet(near)
    establish(near, far)
    home = near.peer.endpoint
    assert home is not None
    near.peer.set_endpoint(Endpoint("255.255.255.255", 9))
    inside(near, "send", "one", "two")
    inside(near, "send", "three")
    counted(near, "send_failed", 3)
    near.peer.set_endpoint(home)
    inside(near, "send", "four")
    assert far.open()[0] == 4
    troubles: list[int] = []

    def over() -> bool:
        near.peer.send_keepalive()
        events = near.plane.events()
        troubles.extend(event.errno for event in events if isinstance(event, SendFailing))
        return 0 in troubles

    assert until(over)
    assert troubles == [errno.EACCES, 0]


def test_trouble_with_a_peer_that_is_removed_is_over(near: End, far: Far) -> None:
    near.peer.set_endpoint(Endpoint("255.255.255.255", 9))
    near.peer.send_handshake(initiation(), boottime())
    near.peer.remove()
    troubles = [event.errno for event in near.plane.events() if isinstance(event, SendFailing)]
    assert troubles == [errno.EACCES, 0]
    assert far.silent()


def test_debts_become_due_and_are_settled(near: End, far: Far) -> None:
    quiet(near)
    establish(near, far)
    inside(near, "send", "question")
    assert near.expect(DebtBegan)
    far.receive()
    now = boottime()
    due = near.peer.due(now + 16 * SECOND, 10 * SECOND, 15 * SECOND, 0)
    assert (due.handshake, due.keepalive, due.persistent, due.next) == (True, False, False, None)
    far.send(far.seal(udp_packet(b"nobody here will answer this", length=200)))
    assert near.expect(DebtBegan)
    due = near.peer.due(boottime() + 11 * SECOND, 10 * SECOND, 15 * SECOND, 0)
    assert (due.handshake, due.keepalive) == (False, True)


def test_a_port_in_use_is_refused_and_what_was_bound_stays(near: End, far: Far) -> None:
    establish(near, far)
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        with socket.socket(family, socket.SOCK_DGRAM) as taken:
            taken.bind((address, 0))
            with pytest.raises(OSError, match="in use") as caught:
                near.plane.bind(taken.getsockname()[1], 0)
        assert caught.value.errno == errno.EADDRINUSE
    near.peer.send_keepalive()
    assert far.open() == (1, b"")


def test_binding_and_unbinding(near: End, far: Far) -> None:
    establish(near, far)
    assert near.plane.bind(near.port, 7) == near.port
    near.plane.unbind()
    near.peer.send_keepalive()
    counted(near, "no_socket", 1)
    assert near.plane.bind(near.port, 0) == near.port
    near.peer.send_keepalive()
    assert far.open() == (2, b"")
    other = near.plane.bind(0, 0)
    assert other != near.port
    near.peer.send_keepalive()
    assert far.socket.recvfrom(64)[1][1] == other


def test_what_is_no_key_or_address_is_refused(near: End) -> None:
    for key in (b"", bytes(31), bytes(33)):
        with pytest.raises(ValueError, match="32 bytes"):
            near.plane.peer(key)
    for host in ("", "example.org", "1.2.3", "fe80::1%no-such"):
        with pytest.raises(ValueError, match="address"):
            Endpoint(host, 1)
    with pytest.raises(ValueError, match="Noise"):
        near.peer.send_handshake(bytes(116), boottime())


def test_networks_are_routed_in_one_call_and_replaced_by_themselves_without_a_change(
    near: End,
) -> None:
    def names(peer: Peer) -> list[str]:
        return [str(AllowedIP(*network)) for network in peer.allowed()]

    one, other = near.plane.peer(bytes(32)), near.plane.peer(bytes(32))
    other.change_allowed_ips(allowed_ips("10.9.0.0/16", "0.0.0.0/0", "fd00::/8"))
    one.change_allowed_ips(allowed_ips("0.0.0.0/0", "10.8.0.0/16"))
    assert names(other) == ["10.9.0.0/16", "fd00::/8"]
    other.change_allowed_ips(allowed_ips("10.9.0.0/16", "fd00::/8", replace=True))
    assert names(other) == ["10.9.0.0/16", "fd00::/8"]
    other.change_allowed_ips(allowed_ips("fd00::/8", "10.9.0.0/16", replace=True))
    assert names(other) == ["fd00::/8", "10.9.0.0/16"]
    other.change_allowed_ips(allowed_ips("10.8.0.0/16", removed=("fd00::/8", "0.0.0.0/0")))
    assert names(other) == ["10.9.0.0/16", "10.8.0.0/16"]
    assert names(one) == ["0.0.0.0/0"]
    other.change_allowed_ips(allowed_ips(replace=True))
    assert names(other) == []

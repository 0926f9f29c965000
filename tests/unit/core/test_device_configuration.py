"""Changes of a device, each applied as a whole or not at all."""

from __future__ import annotations

import errno
from random import Random

import pytest

from holloway.core.constants import MAX_PEERS
from holloway.errors import ConfigError
from holloway.key import Key
from holloway.model import AllowedIP, DeviceUpdate, Endpoint, PeerUpdate
from sim.device import SimDevice
from sim.pair import Pair, seconds
from sim.plane import SimPlane

NOW = seconds(100)
ONE, TWO, THREE = (Key(bytes([n] * 32)) for n in (1, 2, 3))


def made(*, up: bool = False) -> tuple[SimPlane, SimDevice]:
    plane = SimPlane(lambda: NOW)
    device = SimDevice(plane, random=Random(1).randbytes, wall=lambda: NOW)
    if up:
        device.up(NOW)
    return plane, device


def peers(device: SimDevice) -> list[Key]:
    return [peer.public_key for peer in device.state("x").peers]


def bound(plane: SimPlane) -> tuple[int, int] | None:
    return plane.bound


def test_a_device_shows_what_was_set_and_its_private_key_clamped() -> None:
    _, device = made()
    endpoint = Endpoint("2001:db8::1", 51820)
    networks = (AllowedIP.parse("10.0.0.0/8"), AllowedIP.parse("fd00::/64"))
    peer = PeerUpdate(ONE, False, False, TWO, endpoint, 25, False, (), networks)
    device.configure(NOW, DeviceUpdate(Key(bytes([255] * 32)), 51820, 7, peers=(peer,)))
    state = device.state("wg0")
    assert (state.name, state.listen_port, state.fwmark) == ("wg0", 51820, 7)
    assert state.private_key == Key(bytes([255] * 32)).clamped()
    (shown,) = state.peers
    assert shown.public_key == ONE
    assert shown.preshared_key == TWO
    assert shown.endpoint == endpoint
    assert shown.allowed_ips == networks
    assert (shown.persistent_keepalive, shown.latest_handshake) == (25, 0)


def test_zero_keys_remove_the_private_and_the_preshared_key() -> None:
    plane, device = made()
    device.configure(NOW, DeviceUpdate(ONE, peers=(PeerUpdate(TWO, preshared_key=THREE),)))
    device.configure(NOW, DeviceUpdate(Key.ZERO, peers=(PeerUpdate(TWO, preshared_key=Key.ZERO),)))
    state = device.state("x")
    assert state.private_key is None
    assert state.peers[0].preshared_key is None
    assert plane.identity is None


def test_the_plane_gets_the_public_key_for_mac1() -> None:
    plane, device = made()
    device.configure(NOW, DeviceUpdate(ONE))
    assert plane.identity == ONE.public().raw


def test_a_peer_with_our_own_key_is_silently_skipped() -> None:
    _, device = made()
    device.configure(NOW, DeviceUpdate(ONE, peers=(PeerUpdate(ONE.public()), PeerUpdate(TWO))))
    assert peers(device) == [TWO]


def test_a_peer_whose_key_becomes_ours_is_removed() -> None:
    plane, device = made()
    device.configure(NOW, DeviceUpdate(peers=(PeerUpdate(ONE.public()), PeerUpdate(TWO))))
    gone = plane.peers[1]
    device.configure(NOW, DeviceUpdate(ONE))
    assert peers(device) == [TWO]
    assert gone.removed


def test_the_same_private_key_again_keeps_sessions() -> None:
    pair = Pair.established()
    pair.a.update(DeviceUpdate(pair.a.private_key))
    assert pair.a.peer.current is not None


def test_another_private_key_forgets_sessions() -> None:
    pair = Pair.established()
    pair.a.update(DeviceUpdate(THREE))
    assert pair.a.peer.sessions() == []


def test_remove_and_update_only_of_an_unknown_peer_do_nothing() -> None:
    plane, device = made()
    change = (PeerUpdate(ONE, remove=True), PeerUpdate(TWO, update_only=True))
    device.configure(NOW, DeviceUpdate(peers=change))
    assert peers(device) == []
    assert plane.peers == {}


def test_replace_peers_removes_all_before_the_rest_applies() -> None:
    plane, device = made()
    device.configure(NOW, DeviceUpdate(peers=(PeerUpdate(ONE), PeerUpdate(TWO))))
    device.configure(
        NOW,
        DeviceUpdate(
            replace_peers=True, peers=(PeerUpdate(THREE), PeerUpdate(ONE, update_only=True))
        ),
    )
    assert peers(device) == [THREE]
    assert [peer.public_key for peer in plane.peers.values()] == [THREE.raw]


def test_a_removed_peer_may_come_back_in_the_same_update() -> None:
    _, device = made()
    device.configure(NOW, DeviceUpdate(peers=(PeerUpdate(ONE, preshared_key=TWO),)))
    device.configure(NOW, DeviceUpdate(peers=(PeerUpdate(ONE, remove=True), PeerUpdate(ONE))))
    assert device.state("x").peers[0].preshared_key is None


def test_allowed_ips_are_added_replaced_removed_and_moved() -> None:
    _, device = made()
    a, b, c = (AllowedIP.parse(text) for text in ("10.1.0.0/16", "10.2.0.0/16", "fd00::/8"))
    device.configure(NOW, DeviceUpdate(peers=(PeerUpdate(ONE, allowed_ips=(a, b)),)))
    device.configure(NOW, DeviceUpdate(peers=(PeerUpdate(TWO, allowed_ips=(b, c)),)))
    assert [peer.allowed_ips for peer in device.state("x").peers] == [(a,), (b, c)]
    change = PeerUpdate(TWO, removed_allowed_ips=(b,), allowed_ips=(a,))
    device.configure(NOW, DeviceUpdate(peers=(change,)))
    assert [peer.allowed_ips for peer in device.state("x").peers] == [(), (c, a)]
    change = PeerUpdate(TWO, replace_allowed_ips=True, allowed_ips=(b,))
    device.configure(NOW, DeviceUpdate(peers=(change,)))
    assert [peer.allowed_ips for peer in device.state("x").peers] == [(), (b,)]


def test_sockets_are_bound_while_up_and_the_chosen_port_is_shown_and_kept() -> None:
    plane, device = made()
    device.configure(NOW, DeviceUpdate(fwmark=5))
    assert bound(plane) is None
    device.up(NOW)
    assert bound(plane) == (40_000, 5)
    assert device.state("x").listen_port == 40_000
    device.down(NOW)
    assert bound(plane) is None
    assert device.state("x").listen_port == 40_000


def test_port_and_mark_change_while_up() -> None:
    plane, device = made(up=True)
    device.configure(NOW, DeviceUpdate(listen_port=1234))
    assert plane.bound == (1234, 0)
    device.configure(NOW, DeviceUpdate(fwmark=9))
    assert plane.bound == (1234, 9)
    device.configure(NOW, DeviceUpdate(listen_port=0))
    assert plane.bound == (40_000, 9)


def test_a_new_mark_forgets_the_source_addresses() -> None:
    pair = Pair.established()
    pair.a.update(DeviceUpdate(fwmark=9))
    assert len(pair.a.plane.happened("forget source")) == 1


def test_a_port_that_cannot_be_bound_changes_nothing() -> None:
    plane, device = made(up=True)
    device.configure(NOW, DeviceUpdate(ONE, 1234, peers=(PeerUpdate(TWO),)))
    before = device.state("x")
    plane.refuse_bind = OSError(errno.EADDRINUSE, "in use")
    update = DeviceUpdate(THREE, 80, 1, replace_peers=True, peers=(PeerUpdate(ONE),))
    with pytest.raises(OSError, match="in use"):
        device.configure(NOW, update)
    assert device.state("x") == before


def test_a_port_that_cannot_be_bound_leaves_the_device_down() -> None:
    plane, device = made()
    plane.refuse_bind = OSError(errno.EADDRINUSE, "in use")
    with pytest.raises(OSError, match="in use"):
        device.up(NOW)
    assert (device.running, plane.bound) == (False, None)
    plane.refuse_bind = None
    device.up(NOW)
    assert plane.bound is not None


def test_an_endpoint_on_an_unknown_interface_changes_nothing() -> None:
    plane, device = made(up=True)
    bound = plane.bound
    peer = PeerUpdate(TWO, endpoint=Endpoint("fe80::1%nowhere", 1))
    with pytest.raises(ValueError, match="no such interface"):
        device.configure(NOW, DeviceUpdate(ONE, 99, peers=(PeerUpdate(THREE), peer)))
    assert device.state("x").private_key is None
    assert peers(device) == []
    assert plane.bound == bound


def test_an_update_with_too_many_peers_changes_nothing() -> None:
    _, device = made()
    keys = [Key(n.to_bytes(32, "big")) for n in range(1, MAX_PEERS + 2)]
    with pytest.raises(ConfigError, match="at most 65536 peers"):
        device.configure(NOW, DeviceUpdate(peers=tuple(PeerUpdate(key) for key in keys)))
    assert peers(device) == []


def test_a_removed_peer_makes_room_for_another() -> None:
    _, device = made()
    keys = [Key(n.to_bytes(32, "big")) for n in range(1, MAX_PEERS + 2)]
    device.configure(NOW, DeviceUpdate(peers=tuple(PeerUpdate(key) for key in keys[:-1])))
    change = (PeerUpdate(keys[0], remove=True), PeerUpdate(keys[-1]))
    device.configure(NOW, DeviceUpdate(peers=change))
    assert len(peers(device)) == MAX_PEERS


def test_a_peer_added_while_up_exchanges_data() -> None:
    pair = Pair()
    pair.a.update(DeviceUpdate(peers=(PeerUpdate(pair.b.public_key, remove=True),)))
    pair.a.configure(pair.b)
    sent = pair.a.send_data()
    pair.run(1)
    assert pair.b.received == [sent]


def test_a_removed_peer_has_no_timers() -> None:
    pair = Pair.established()
    pair.a.update(DeviceUpdate(peers=(PeerUpdate(pair.b.public_key, remove=True),)))
    assert pair.a.device.next_timeout() is None


def test_a_second_up_or_down_does_nothing() -> None:
    plane, device = made(up=True)
    plane.refuse_bind = OSError(errno.EADDRINUSE, "in use")
    device.up(NOW)
    device.down(NOW)
    device.down(NOW)
    assert plane.bound is None


def test_port_mark_and_endpoints_are_known_to_the_shell() -> None:
    _, device = made(up=True)
    there = PeerUpdate(ONE, endpoint=Endpoint("192.0.2.1", 1))
    device.configure(NOW, DeviceUpdate(listen_port=7, fwmark=9, peers=(there, PeerUpdate(TWO))))
    assert device.port_and_mark == (7, 9)
    assert [device.has_endpoint(number) for number in (1, 2, 3)] == [True, False, False]


def test_peers_that_only_exist_to_be_updated_need_no_room() -> None:
    _, device = made()
    unknown = (
        PeerUpdate(Key(number.to_bytes(32, "little")), update_only=True)
        for number in range(MAX_PEERS + 1)
    )
    device.configure(NOW, DeviceUpdate(peers=tuple(unknown)))
    assert peers(device) == []

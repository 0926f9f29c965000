from __future__ import annotations

from holloway.key import Key
from holloway.model import Device, DeviceUpdate, Peer, PeerUpdate
from holloway.text.uapi import diff

KEYS = [Key(bytes([number]) + bytes(31)) for number in (1, 2, 3)]
DEVICE = Device("wg0", peers=tuple(Peer(key) for key in KEYS))


def test_unnamed_peers_are_removed_one_by_one_highest_key_first() -> None:
    kept = PeerUpdate(KEYS[1], replace_allowed_ips=True)
    update = DeviceUpdate(listen_port=5, replace_peers=True, peers=(kept,))
    gone = [PeerUpdate(key, remove=True) for key in (KEYS[2], KEYS[0])]
    assert diff(DEVICE, update) == DeviceUpdate(listen_port=5, peers=(*gone, kept))


def test_peers_that_are_named_are_not_removed() -> None:
    update = DeviceUpdate(replace_peers=True, peers=tuple(PeerUpdate(key) for key in KEYS))
    assert not any(peer.remove for peer in diff(DEVICE, update).peers)


def test_if_no_peer_is_named_all_are_removed_at_once() -> None:
    update = DeviceUpdate(replace_peers=True)
    assert diff(DEVICE, update) == update


def test_a_device_without_peers_gets_them_all_at_once() -> None:
    update = DeviceUpdate(replace_peers=True, peers=(PeerUpdate(KEYS[0]),))
    assert diff(Device("wg0"), update) == update


def test_a_secret_and_a_keepalive_that_are_no_longer_named_are_turned_off() -> None:
    device = Device("wg0", peers=(Peer(KEYS[0], KEYS[1], persistent_keepalive=25), Peer(KEYS[1])))
    update = DeviceUpdate(replace_peers=True, peers=(PeerUpdate(KEYS[0]), PeerUpdate(KEYS[1])))
    first, second = diff(device, update).peers
    assert first == PeerUpdate(KEYS[0], preshared_key=Key.ZERO, persistent_keepalive=0)
    assert second == PeerUpdate(KEYS[1])


def test_a_secret_and_a_keepalive_that_are_named_stay_as_named() -> None:
    device = Device("wg0", peers=(Peer(KEYS[0], KEYS[1], persistent_keepalive=25),))
    named = PeerUpdate(KEYS[0], preshared_key=KEYS[2], persistent_keepalive=5)
    # A second section of the same peer changes only the settings that it names.
    update = DeviceUpdate(replace_peers=True, peers=(named, PeerUpdate(KEYS[0])))
    assert diff(device, update).peers == update.peers

"""A file that is read again: the smallest change of a device, and its printed commands."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from holloway.key import Key
from holloway.model import AllowedIP, Device, DeviceUpdate, Endpoint, Peer, PeerUpdate
from holloway.quick.changes import applied, change, difference
from holloway.quick.saved_state import SavedSettings

KEYS = [Key(bytes([number]) * 32) for number in range(1, 5)]
NETWORKS = [AllowedIP.parse(f"10.{number}.0.0/16") for number in range(4)]
HERE, THERE = Endpoint("192.0.2.1", 1), Endpoint("192.0.2.2", 2)


def whole(*peers: PeerUpdate, **device: object) -> DeviceUpdate:
    """Return the update that `text.conf` reads from a file for wg-quick."""
    return DeviceUpdate(peers=peers, **device)  # type: ignore[arg-type]


def named(key: Key, *allowed: AllowedIP, **more: object) -> PeerUpdate:
    return PeerUpdate(key, replace_allowed_ips=True, allowed_ips=allowed, **more)  # type: ignore[arg-type]


peer_updates = st.builds(
    named,
    st.sampled_from(KEYS),
    preshared_key=st.sampled_from([None, Key.ZERO, *KEYS]),
    endpoint=st.sampled_from([None, HERE, THERE]),
    persistent_keepalive=st.sampled_from([None, 0, 25]),
)


@given(first=st.lists(peer_updates), second=st.lists(peer_updates))
def test_the_same_file_again_is_no_change(first: list[PeerUpdate], second: list[PeerUpdate]):
    before = applied(Device("wg0"), whole(*first), SavedSettings())
    now = applied(before, whole(*second), SavedSettings.of(whole(*first)))
    again = applied(now, whole(*second), SavedSettings.of(whole(*second)))
    assert again == now
    assert change(now, again) == []


@given(first=st.lists(peer_updates), second=st.lists(peer_updates))
def test_only_peers_that_changed_are_named(first: list[PeerUpdate], second: list[PeerUpdate]):
    before = applied(Device("wg0"), whole(*first), SavedSettings())
    now = applied(before, whole(*second), SavedSettings.of(whole(*first)))
    touched = {peer.public_key for peer in difference(before, now).peers}
    same = {peer.public_key for peer in before.peers if peer in now.peers}
    assert touched.isdisjoint(same)
    assert touched | same == {peer.public_key for peer in (*before.peers, *now.peers)}


def test_settings_that_the_file_never_named_stay():
    device = Device("wg0", KEYS[3], 7, 9, (Peer(KEYS[0], KEYS[1], HERE, (), 5, 6, 7, 25),))
    assert applied(device, whole(named(KEYS[0])), SavedSettings()) == device


def test_settings_removed_from_the_file_are_reset_except_the_private_key():
    last = whole(
        named(KEYS[0], preshared_key=KEYS[1], persistent_keepalive=25),
        private_key=KEYS[3],
        listen_port=7,
    )
    device = applied(Device("wg0"), last, SavedSettings())
    now = applied(device, whole(named(KEYS[0])), SavedSettings.of(last))
    assert now == Device("wg0", KEYS[3], 0, 0, (Peer(KEYS[0]),))


def test_a_peer_that_roamed_keeps_its_endpoint_until_the_file_has_a_new_one():
    last = whole(named(KEYS[0], endpoint=HERE))
    roamed = Device("wg0", peers=(Peer(KEYS[0], endpoint=THERE),))
    assert applied(roamed, last, SavedSettings.of(last)).peers[0].endpoint == THERE
    new = whole(named(KEYS[0], endpoint=Endpoint("192.0.2.3", 3)))
    assert applied(roamed, new, SavedSettings.of(last)).peers[0].endpoint == new.peers[0].endpoint
    assert applied(roamed, last, SavedSettings()).peers[0].endpoint == HERE


def test_an_allowed_ip_belongs_to_the_last_peer_that_lists_it():
    update = whole(named(KEYS[0], *NETWORKS), named(KEYS[1], NETWORKS[1]))
    found = applied(Device("wg0"), update, SavedSettings()).peers
    assert [len(peer.allowed_ips) for peer in found] == [3, 1]


def test_every_change_is_printed_and_no_secret_is():
    before = Device("wg0", KEYS[0], 7, peers=(Peer(KEYS[0], allowed_ips=(NETWORKS[0],)),))
    peers = (
        Peer(KEYS[1], KEYS[2], HERE, (NETWORKS[1], NETWORKS[2]), persistent_keepalive=25),
        Peer(KEYS[2]),
    )
    (step,) = change(before, Device("wg0", KEYS[3], 8, peers=peers))
    first, second, third = (key.base64 for key in KEYS[:3])
    assert step.text.split("\n") == [
        "wg set wg0 private-key /dev/fd/63 listen-port 8",
        f"wg set wg0 peer {first} remove",
        f"wg set wg0 peer {second} preshared-key /dev/fd/63 endpoint 192.0.2.1:1"
        " persistent-keepalive 25 allowed-ips +10.1.0.0/16,+10.2.0.0/16",
        f"wg set wg0 peer {third}",
    ]
    assert KEYS[3].base64 not in repr(step)


def test_removals_are_printed():
    before = Device("wg0", peers=(Peer(KEYS[0], KEYS[1], HERE, tuple(NETWORKS[:2]), 0, 0, 0, 25),))
    after = Device("wg0", peers=(Peer(KEYS[0], None, HERE, (NETWORKS[1],)),))
    (step,) = change(before, after)
    assert step.text == (
        f"wg set wg0 peer {KEYS[0].base64} preshared-key /dev/null persistent-keepalive off"
        " allowed-ips 10.1.0.0/16"
    )

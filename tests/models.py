"""Hypothesis strategies for devices and updates."""

from __future__ import annotations

from hypothesis import strategies as st

from holloway.key import Key
from holloway.model import AllowedIP, Device, DeviceUpdate, Endpoint, Peer, PeerUpdate

keys = st.binary(min_size=32, max_size=32).map(Key)
ports = st.integers(0, 0xFFFF)
marks = st.integers(0, 0xFFFFFFFF)
counts = st.integers(0, 2**64 - 1)
networks = st.one_of(
    st.builds(AllowedIP.masked, st.binary(min_size=4, max_size=4), st.integers(0, 32)),
    st.builds(AllowedIP.masked, st.binary(min_size=16, max_size=16), st.integers(0, 128)),
)
network_lists = st.lists(networks, max_size=4, unique=True).map(tuple)
endpoints = st.one_of(
    st.builds(Endpoint, st.ip_addresses(v=4).map(str), ports),
    st.builds(Endpoint, st.binary(min_size=16, max_size=16).map(
        lambda packed: AllowedIP(packed, 128).host), ports),
    st.builds(Endpoint, st.sampled_from(["fe80::1%eth0", "fe80::2%wg-home.5"]), ports),
)  # fmt: skip


def maybe(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """Draw a value or None."""
    return st.none() | values


def devices() -> st.SearchStrategy[Device]:
    """Draw a device."""
    peers = st.builds(
        Peer, keys, maybe(keys.filter(bool)), maybe(endpoints), network_lists,
        st.integers(0, 2**63 - 1), counts, counts, ports,
    )  # fmt: skip
    private = maybe(keys.filter(bool))
    return st.builds(
        Device, st.just("wg0"), private, ports, marks, st.lists(peers, max_size=3).map(tuple)
    )


def updates() -> st.SearchStrategy[DeviceUpdate]:
    """Draw a change of a device."""
    flag = st.booleans()
    changed = st.builds(
        PeerUpdate, keys, st.just(False), flag, maybe(keys), maybe(endpoints), maybe(ports),
        flag, network_lists, network_lists,
    )  # fmt: skip
    removed = st.builds(PeerUpdate, keys, st.just(True), flag)
    peers = st.lists(changed | removed, max_size=3).map(tuple)
    return st.builds(DeviceUpdate, maybe(keys), maybe(ports), maybe(marks), flag, peers)

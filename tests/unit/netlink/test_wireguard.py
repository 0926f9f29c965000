"""Messages of the netlink family "wireguard", compared with those of pyroute2."""

from __future__ import annotations

import errno
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.generic.wireguard import wgmsg

from holloway.key import Key
from holloway.model import AllowedIP, Device, DeviceUpdate, Endpoint, Peer, PeerUpdate
from holloway.netlink.attributes import attribute, attributes, generic, nest
from holloway.netlink.wireguard import parse_device, set_requests

REPLACE_PEERS, REMOVE, REPLACE_NETWORKS, UPDATE_ONLY = 1, 1, 2, 4
PA, PB = Key(bytes([5]) * 32), Key(bytes([9]) * 32)

keys = st.binary(min_size=32, max_size=32).map(Key)
networks = st.one_of(
    st.builds(AllowedIP.masked, st.binary(min_size=4, max_size=4), st.integers(0, 32)),
    st.builds(AllowedIP.masked, st.binary(min_size=16, max_size=16), st.integers(0, 128)),
)
endpoints = st.builds(
    Endpoint, st.sampled_from(["192.0.2.1", "2001:db8::1"]), st.integers(0, 65535)
)
peer_updates = st.builds(
    PeerUpdate, keys, st.booleans(), st.booleans(), st.none() | keys, st.none() | endpoints,
    st.none() | st.integers(0, 65535), st.booleans(),
    allowed_ips=st.lists(networks, max_size=60).map(tuple),
)  # fmt: skip
device_updates = st.builds(
    DeviceUpdate, st.none() | keys, st.none() | st.integers(0, 65535),
    st.none() | st.integers(0, 2**32 - 1), st.booleans(),
    st.lists(peer_updates, max_size=8, unique_by=lambda peer: peer.public_key).map(tuple),
)  # fmt: skip


def second_opinion(message: bytes) -> Any:
    """Decode a request, without the netlink header that the socket puts before it."""
    header = (len(message) + 16).to_bytes(4, "little") + bytes(12)
    decoded = wgmsg(header + message)
    decoded.decode()
    return decoded


def peers_of(message: Any) -> list[Any]:
    return message.get_attr("WGDEVICE_A_PEERS") or []


def networks_of(peer: Any) -> list[str]:
    found = peer.get_attr("WGPEER_A_ALLOWEDIPS") or []
    return [network["addr"] for network in found]


@given(device_updates, st.sampled_from([512, 1024, 32768]))
def test_a_change_split_into_messages_loses_nothing(update: DeviceUpdate, limit: int) -> None:
    requests = list(set_requests("wg0", update, limit))
    assert all(len(request) <= limit for request in requests)
    messages = [second_opinion(request) for request in requests]
    first, *others = messages
    assert first.get_attr("WGDEVICE_A_FWMARK") == update.fwmark
    assert first.get_attr("WGDEVICE_A_LISTEN_PORT") == update.listen_port
    assert bool(first.get_attr("WGDEVICE_A_FLAGS")) == update.replace_peers
    assert all(message.get_attr("WGDEVICE_A_IFNAME") == "wg0" for message in messages)
    assert not any(message.get_attr("WGDEVICE_A_FLAGS") for message in others)
    printed: dict[bytes, list[str]] = {}
    for peer in [peer for message in messages for peer in peers_of(message)]:
        key, flags = peer.get_attr("WGPEER_A_PUBLIC_KEY"), peer.get_attr("WGPEER_A_FLAGS") or 0
        if key in printed:
            assert flags == UPDATE_ONLY
        else:
            check_peer(next(p for p in update.peers if p.public_key.base64 == key.decode()), peer)
        printed.setdefault(key, []).extend(networks_of(peer))
    assert [key.decode() for key in printed] == [peer.public_key.base64 for peer in update.peers]
    assert list(printed.values()) == [
        [] if peer.remove else list(map(str, peer.allowed_ips)) for peer in update.peers
    ]


def check_peer(wanted: PeerUpdate, printed: Any) -> None:
    flags = printed.get_attr("WGPEER_A_FLAGS") or 0
    assert bool(flags & REMOVE) == wanted.remove
    assert bool(flags & UPDATE_ONLY) == wanted.update_only
    if wanted.remove:
        return
    assert bool(flags & REPLACE_NETWORKS) == wanted.replace_allowed_ips
    assert printed.get_attr("WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL") == wanted.persistent_keepalive
    psk, endpoint = (
        printed.get_attr("WGPEER_A_PRESHARED_KEY"),
        printed.get_attr("WGPEER_A_ENDPOINT"),
    )
    assert (psk and psk.decode()) == (wanted.preshared_key and wanted.preshared_key.base64)
    assert (endpoint and Endpoint(endpoint["addr"], endpoint["port"])) == wanted.endpoint


def test_a_network_is_removed_before_others_are_added() -> None:
    gone, added = AllowedIP.parse("10.0.0.0/8"), AllowedIP.parse("fd00::/8")
    update = PeerUpdate(PA, removed_allowed_ips=(gone,), allowed_ips=(added,))
    (request,) = set_requests("wg0", DeviceUpdate(peers=(update,)))
    remove_me = attribute(4, (1).to_bytes(4, "little"))
    assert request.count(remove_me) == 1
    assert request.index(gone.address) < request.index(remove_me) < request.index(added.address)


def test_a_zone_is_sent_as_its_number_and_an_unknown_one_is_refused() -> None:
    def request(zone: str) -> bytes:
        peer = PeerUpdate(PA, endpoint=Endpoint(f"fe80::1%{zone}", 9))
        return b"".join(set_requests("wg0", DeviceUpdate(peers=(peer,))))

    assert request("lo") == request("1")
    with pytest.raises(OSError, match=r"."):
        request("nosuch")


def answer(*peers: bytes) -> bytes:
    return generic(0, 1) + attribute(2, b"wg0\0") + nest(8, peers)


def told_peer(key: Key, *texts: str) -> bytes:
    printed = [
        nest(0, [attribute(1, (2).to_bytes(2, "little")), attribute(2, network.address),
                 attribute(3, bytes([network.cidr]))])
        for network in map(AllowedIP.parse, texts)
    ]  # fmt: skip
    return nest(0, [attribute(1, key.raw), nest(9, printed)])


def test_a_peer_split_across_messages_is_one_peer() -> None:
    device = parse_device([
        answer(told_peer(PA, "10.1.0.0/16"), told_peer(PB, "10.2.0.0/16")),
        answer(told_peer(PB, "10.3.0.0/16")),
        answer(told_peer(PB, "10.4.0.0/16"), told_peer(PA)),
    ])  # fmt: skip
    names = [(peer.public_key, [str(ip) for ip in peer.allowed_ips]) for peer in device.peers]
    assert names == [
        (PA, ["10.1.0.0/16"]), (PB, ["10.2.0.0/16", "10.3.0.0/16", "10.4.0.0/16"]), (PA, []),
    ]  # fmt: skip


def test_a_device_is_read_as_pyroute2_writes_it() -> None:
    message = wgmsg()
    allowed = {"attrs": [["WGALLOWEDIP_A_FAMILY", 10], ["WGALLOWEDIP_A_IPADDR", bytes(16)],
                         ["WGALLOWEDIP_A_CIDR_MASK", 0]]}  # fmt: skip
    peer = {"attrs": [
        ["WGPEER_A_PUBLIC_KEY", PA.base64], ["WGPEER_A_PRESHARED_KEY", PB.base64],
        ["WGPEER_A_ENDPOINT", {"addr": "192.0.2.1", "port": 513}],
        ["WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL", 25], ["WGPEER_A_RX_BYTES", 2**40],
        ["WGPEER_A_TX_BYTES", 7], ["WGPEER_A_LAST_HANDSHAKE_TIME", {"tv_sec": 9, "tv_nsec": 5}],
        ["WGPEER_A_PROTOCOL_VERSION", 1], ["WGPEER_A_ALLOWEDIPS", [allowed]],
    ]}  # fmt: skip
    message["attrs"] = [
        ["WGDEVICE_A_IFINDEX", 4], ["WGDEVICE_A_IFNAME", "wg0"],
        ["WGDEVICE_A_PRIVATE_KEY", PB.base64], ["WGDEVICE_A_LISTEN_PORT", 51820],
        ["WGDEVICE_A_FWMARK", 7], ["WGDEVICE_A_PEERS", [peer]],
    ]  # fmt: skip
    message.encode()
    expected = Peer(PA, PB, Endpoint("192.0.2.1", 513), (AllowedIP(bytes(16), 0),),
                    9_000_000_005, 2**40, 7, 25)  # fmt: skip
    assert parse_device([bytes(message.data[16:])]) == Device("wg0", PB, 51820, 7, (expected,))


def test_a_link_local_endpoint_has_the_name_of_its_zone() -> None:
    sockaddr = bytes([10, 0, 2, 1]) + bytes(4) + bytes.fromhex("fe80") + bytes(13) + b"\1"
    printed = nest(0, [attribute(1, PA.raw), attribute(4, sockaddr + (1).to_bytes(4, "little"))])
    (peer,) = parse_device([answer(printed)]).peers
    assert peer == replace(Peer(PA), endpoint=Endpoint("fe80::1%lo", 513))


@given(st.lists(st.tuples(st.integers(0, 9), st.binary(max_size=40))))
def test_attributes_are_read_as_they_were_written(written: list[tuple[int, bytes]]) -> None:
    text = b"".join(attribute(kind, value) for kind, value in written)
    assert list(attributes(text)) == written


values = st.recursive(
    st.binary(max_size=40),
    lambda inner: st.lists(st.tuples(st.integers(0, 10), inner), max_size=6).map(
        lambda pairs: b"".join(attribute(kind, value) for kind, value in pairs)
    ),
)


@given(values)
def test_any_answer_is_a_device_or_a_protocol_error(text: bytes) -> None:
    try:
        assert isinstance(parse_device([generic(0, 1) + text]), Device)
    except OSError as error:
        assert error.errno == errno.EPROTO  # noqa: PT017


@pytest.mark.parametrize(
    "text",
    [b"", b"\4\0\2", attribute(7, bytes(4)), attribute(2, b"wg0\0") + attribute(3, bytes(31)),
     attribute(2, b"wg0\0") + nest(8, [nest(0, [attribute(9, b"")])]), b"\3\0\2\0", b"\x09\0\2\0"],
)  # fmt: skip
def test_invalid_bytes_are_a_protocol_error(text: bytes) -> None:
    with pytest.raises(OSError, match=r".") as caught:
        parse_device([generic(0, 1) + text])
    assert caught.value.errno == errno.EPROTO

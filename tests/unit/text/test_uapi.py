from __future__ import annotations

import contextlib
import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holloway.key import Key
from holloway.model import AllowedIP, Device, DeviceUpdate, Endpoint, Peer, PeerUpdate
from holloway.text.uapi import UapiError, dump_get, dump_set, parse_get, parse_set
from models import devices, updates
from transcript import requests

PA, PB = Key(bytes([5]) * 32), Key(bytes([9]) * 32)
PEER = f"public_key={PA.hex}"
NETWORK = AllowedIP.parse("10.10.11.2/32")


def lines(text: str) -> list[str]:
    """Return the lines for `parse_set`, without `set=1` and the blank line."""
    return text.removeprefix("set=1\n").removesuffix("\n\n").split("\n")


@given(updates())
def test_a_written_request_is_parsed_back(update: DeviceUpdate) -> None:
    text = dump_set(update)
    assert text.startswith("set=1\n")
    assert text.endswith("\n\n")
    body = text.removeprefix("set=1\n").removesuffix("\n")
    assert parse_set(body.splitlines()) == update


@given(devices())
def test_a_written_answer_is_parsed_back(device: Device) -> None:
    assert parse_get(dump_get(device), device.name) == device


def test_requests_equal_those_of_the_original() -> None:
    mine = PeerUpdate(PA, replace_allowed_ips=True, allowed_ips=(NETWORK,))
    gone = PeerUpdate(PB, remove=True)
    reset = DeviceUpdate(private_key=Key.ZERO, listen_port=51000, fwmark=0)
    sent = [
        dump_set(DeviceUpdate(reset.private_key, 51000, 0, peers=(gone, mine))),
        dump_set(DeviceUpdate(reset.private_key, 51000, 0, replace_peers=True, peers=(mine,))),
        dump_set(DeviceUpdate(listen_port=51000, peers=(mine,))),
        dump_set(DeviceUpdate(listen_port=4464)),
        dump_set(DeviceUpdate(peers=(PeerUpdate(PA, remove=True),))),
        dump_set(DeviceUpdate(private_key=Key.ZERO)),
        dump_set(
            DeviceUpdate(peers=(PeerUpdate(PA, persistent_keepalive=0, replace_allowed_ips=True),))
        ),
    ]
    assert ["get=1\n\n", *sent] == requests({"<PA>": PA.hex, "<PB>": PB.hex})


@pytest.mark.parametrize(
    ("text", "number", "key", "line"),
    [
        ("listen_port", errno.EPROTO, None, 1),
        ("listen_port=1\n", errno.EPROTO, None, 2),
        ("listen_port=65536", errno.EINVAL, "listen_port", 1),
        ("listen_port=-1", errno.EINVAL, "listen_port", 1),
        ("listen_port=", errno.EINVAL, "listen_port", 1),
        ("listen_port=\u0661", errno.EINVAL, "listen_port", 1),
        ("listen_port=" + "9" * 9999, errno.EINVAL, "listen_port", 1),
        ("fwmark=4294967296", errno.EINVAL, "fwmark", 1),
        ("fwmark=0x1", errno.EINVAL, "fwmark", 1),
        ("private_key=00", errno.EINVAL, "private_key", 1),
        (f"private_key={'zz' * 32}", errno.EINVAL, "private_key", 1),
        ("replace_peers=false", errno.EINVAL, "replace_peers", 1),
        ("replace_peers=", errno.EINVAL, "replace_peers", 1),
        ("errno=0", errno.EINVAL, "errno", 1),
        ("=", errno.EINVAL, "", 1),
        ("allowed_ip=10.0.0.0/8", errno.EINVAL, "allowed_ip", 1),
        ("endpoint=1.2.3.4:5", errno.EINVAL, "endpoint", 1),
        ("public_key=00", errno.EINVAL, "public_key", 1),
        (f"{PEER}\nlisten_port=5", errno.EINVAL, "listen_port", 2),
        (f"{PEER}\nprivate_key={'00' * 32}", errno.EINVAL, "private_key", 2),
        (f"{PEER}\nremove=1", errno.EINVAL, "remove", 2),
        (f"{PEER}\nupdate_only=True", errno.EINVAL, "update_only", 2),
        (f"{PEER}\nreplace_allowed_ips=false", errno.EINVAL, "replace_allowed_ips", 2),
        (f"{PEER}\npreshared_key=", errno.EINVAL, "preshared_key", 2),
        (f"{PEER}\nprotocol_version=2", errno.EINVAL, "protocol_version", 2),
        (f"{PEER}\npersistent_keepalive_interval=65536", errno.EINVAL,
         "persistent_keepalive_interval", 2),
        (f"{PEER}\npersistent_keepalive_interval=off", errno.EINVAL,
         "persistent_keepalive_interval", 2),
        *((f"{PEER}\nendpoint={value}", errno.EINVAL, "endpoint", 2) for value in (
            "example.org:5", "1.2.3.4", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:-1", "::1:5", ":5",
            "[::1]", "[::1", "::1]:5", "[1.2.3.4]:5", "[::1%]:5", "[::1% x]:5", "[[::1]]:5", "")),
        *((f"{PEER}\nallowed_ip={value}", errno.EINVAL, "allowed_ip", 2) for value in (
            "10.0.0.0/33", "::/129", "10.0.0/8", "+10.0.0.0/8", "--10.0.0.0/8", "x", "", "/8",
            "10.0.0.0/", "10.0.0.0/8/8", "10.0.0.0/ 8")),
    ],
)  # fmt: skip
def test_a_bad_line_is_refused_with_its_line_key_and_errno(
    text: str, number: int, key: str | None, line: int
) -> None:
    with pytest.raises(UapiError) as caught:
        parse_set(text.split("\n"))
    error = caught.value
    assert (error.errno, error.key, error.line) == (number, key, line)
    assert error.reason


def test_a_refused_secret_is_not_in_the_error() -> None:
    with pytest.raises(UapiError) as caught:
        parse_set([f"private_key={'5e' * 31}"])
    assert "5e5e" not in str(caught.value)


def test_the_order_of_lines_within_a_peer_counts() -> None:
    def networks(*changes: str) -> tuple[bool, list[str], list[str]]:
        (peer,) = parse_set([PEER, *changes]).peers
        removed, added = peer.removed_allowed_ips, peer.allowed_ips
        return peer.replace_allowed_ips, [str(ip) for ip in removed], [str(ip) for ip in added]

    add, take = "allowed_ip=10.0.0.0/8", "allowed_ip=-10.0.0.0/8"
    clear = "replace_allowed_ips=true"
    assert networks(add, take) == (False, ["10.0.0.0/8"], [])
    assert networks(take, add) == (False, ["10.0.0.0/8"], ["10.0.0.0/8"])
    assert networks(add, clear) == (True, [], [])
    assert networks(take, clear, add) == (True, [], ["10.0.0.0/8"])


def test_host_bits_of_a_network_are_cleared() -> None:
    (peer,) = parse_set([PEER, "allowed_ip=10.1.2.3/8", "allowed_ip=fd00::1/16"]).peers
    assert [str(network) for network in peer.allowed_ips] == ["10.0.0.0/8", "fd00::/16"]


def test_a_peer_named_twice_is_changed_twice() -> None:
    update = parse_set([PEER, "remove=true", PEER, "update_only=true"])
    assert update.peers == (PeerUpdate(PA, remove=True), PeerUpdate(PA, update_only=True))


def test_an_answer_has_the_keys_in_their_order() -> None:
    peer = Peer(
        PA, PB, Endpoint("::1", 7), (NETWORK,), latest_handshake=3_000_000_009, rx_bytes=2,
        tx_bytes=1, persistent_keepalive=25,
    )  # fmt: skip
    keys = [line.partition("=")[0] for line in dump_get(Device("a", PA, 1, 2, (peer,))).split()]
    assert keys == [
        "private_key", "listen_port", "fwmark", "public_key", "preshared_key", "protocol_version",
        "endpoint", "last_handshake_time_sec", "last_handshake_time_nsec", "tx_bytes", "rx_bytes",
        "persistent_keepalive_interval", "allowed_ip",
    ]  # fmt: skip


def test_an_unknown_key_of_an_answer_is_ignored() -> None:
    assert parse_get(f"new=1\nlisten_port=4\n{PEER}\nnewer=x\nerrno=0\n\nrest") == Device(
        "", listen_port=4, peers=(Peer(PA),)
    )


UAPI_WORDS = st.sampled_from(
    ["private_key", "listen_port", "fwmark", "replace_peers", "public_key", "remove", "update_only",
     "preshared_key", "endpoint", "persistent_keepalive_interval", "replace_allowed_ips", "errno",
     "allowed_ip", "protocol_version", "last_handshake_time_sec", "last_handshake_time_nsec",
     "rx_bytes", "tx_bytes"]
)  # fmt: skip
VALUES = st.one_of(
    st.text(max_size=12),
    st.text("0123456789abcdef:./[]%-", max_size=20),
    st.sampled_from(["true", "05" * 32, "1.2.3.4/8", "[::1]:5", "-::/0", "0", "1"]),
)
UAPI_LINES = st.one_of(
    st.builds("{}={}".format, UAPI_WORDS, VALUES), st.text(), st.just(f"public_key={PB.hex}")
)


@given(st.lists(UAPI_LINES))
def test_any_text_is_parsed_or_refused(garbage: list[str]) -> None:
    with contextlib.suppress(UapiError):
        assert isinstance(parse_set(garbage), DeviceUpdate)
    with contextlib.suppress(UapiError):
        assert isinstance(parse_get("\n".join(garbage)), Device)

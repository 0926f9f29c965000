"""The codec in Rust, compared with plain Python and the model."""

from __future__ import annotations

import contextlib
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holloway.errors import ConfigError, KeyFormatError
from holloway.key import Key
from holloway.model import SECOND, AllowedIP, Device, Endpoint, Peer
from holloway.text.conf import dump_conf, parse_conf
from holloway.text.convert import device_of, state_of
from holloway.text.native import UapiError, dump_answer, read_answer, read_request
from holloway.text.uapi import dump_get, parse_get, parse_set
from models import devices, endpoints, networks

PEER = f"public_key={'05' * 32}"
ADDRESSES = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
    st.lists(st.sampled_from(["", "0", "1", "00", "ffff", "1.2.3.4", "01.2.3.4", "0001", "12345"]),
             max_size=9).map(":".join),
    st.text("0123456789abcdef:.", max_size=20),
)  # fmt: skip
NETWORKS = st.one_of(
    st.builds(
        "{}/{}".format, ADDRESSES, st.integers(0, 140) | st.text("0123456789+- ", max_size=4)
    ),
    ADDRESSES,
)
ENDPOINTS = st.one_of(
    st.builds("[{}{}]:{}".format, ADDRESSES, st.sampled_from(["", "%lo", "%", "%a b", "%x]", "%1"]),
              st.integers(0, 70000)),
    st.builds("{}:{}".format, ADDRESSES,
              st.integers(0, 70000) | st.text("0123456789-", max_size=7)),
)  # fmt: skip


def dumped(device: Device) -> str:
    """Return what `wg show INTERFACE dump` prints, in plain Python."""
    none = "(none)"
    own = "\t".join((device.private_key.base64, device.private_key.public().base64)
                    if device.private_key else (none, none))  # fmt: skip
    lines = [f"{own}\t{device.listen_port}\t{hex(device.fwmark) if device.fwmark else 'off'}"]
    for peer in device.peers:
        row = [
            peer.public_key.base64,
            peer.preshared_key.base64 if peer.preshared_key else none,
            str(peer.endpoint or none),
            ",".join(map(str, peer.allowed_ips)) or none,
            peer.latest_handshake // SECOND,
            peer.rx_bytes,
            peer.tx_bytes,
            peer.persistent_keepalive or "off",
        ]
        lines.append("\t".join(map(str, row)))
    return "".join(f"{line}\n" for line in lines)


@given(devices())
def test_a_dump_equals_that_of_plain_python(device: Device) -> None:
    answer = dump_get(device).encode()
    assert dump_answer(answer).decode() == dumped(device)
    assert read_answer(answer).dump(b"wg0\t").decode() == "".join(
        f"wg0\t{line}\n" for line in dumped(device).splitlines()
    )


@given(devices())
def test_a_device_survives_the_codec(device: Device) -> None:
    assert device_of(state_of(device), device.name) == device


@given(NETWORKS)
def test_a_network_is_read_as_the_model_reads_it(text: str) -> None:
    try:
        wanted = (AllowedIP.parse(text),)
    except ValueError:
        with pytest.raises(UapiError):
            parse_set([PEER, f"allowed_ip={text}"])
        return
    assert parse_set([PEER, f"allowed_ip={text}"]).peers[0].allowed_ips == wanted


@given(ENDPOINTS)
def test_an_endpoint_is_read_as_the_model_reads_it(text: str) -> None:
    try:
        wanted = Endpoint.parse(text)
    except ValueError:
        with pytest.raises(UapiError):
            parse_set([PEER, f"endpoint={text}"])
        return
    assert parse_set([PEER, f"endpoint={text}"]).peers[0].endpoint == wanted


@given(networks, endpoints)
def test_networks_and_endpoints_are_written_as_the_model_writes_them(
    network: AllowedIP, endpoint: Endpoint
) -> None:
    peer = Peer(Key(bytes(32)), endpoint=endpoint, allowed_ips=(network,))
    lines = dump_get(Device("wg0", peers=(peer,))).splitlines()
    assert f"allowed_ip={network}" in lines
    assert f"endpoint={endpoint}" in lines


@given(st.binary(min_size=16, max_size=16), st.sets(st.integers(0, 7)))
def test_ipv6_addresses_are_written_as_the_c_library_does(raw: bytes, zeros: set[int]) -> None:
    address = bytearray(raw)
    for word in zeros:
        address[2 * word : 2 * word + 2] = bytes(2)
    text = socket.inet_ntop(socket.AF_INET6, bytes(address))
    update = read_request(f"{PEER}\nallowed_ip={bytes(address).hex(':', 2)}\n".encode())
    assert f"allowed_ip={text}/128\n" in update.request().decode()


@given(st.binary(max_size=48) | st.binary(min_size=32, max_size=32))
def test_keys_are_read_as_the_model_reads_them(raw: bytes) -> None:
    for text in (raw.hex(), raw.hex().upper()):
        with contextlib.suppress(UapiError, KeyFormatError):
            assert parse_get(f"private_key={text}\n").private_key == Key.from_hex(text)
            continue
        assert len(raw) != 32


@given(st.text("AEIMQUYcgkosw048=+/Zz9", min_size=43, max_size=45))
def test_base64_is_canonical_for_both(text: str) -> None:
    try:
        wanted = Key.from_base64(text)
    except KeyFormatError:
        with pytest.raises(ConfigError, match="not the correct length or format"):
            parse_conf(f"[Interface]\nPrivateKey={text}", NoResolver())
        return
    assert parse_conf(f"[Interface]\nPrivateKey={text}", NoResolver()).private_key == wanted


class NoResolver:
    """A resolver that must not be called."""

    def port(self, service: str) -> int:
        raise AssertionError(service)

    def endpoint(self, host: str, service: str, text: str) -> Endpoint:
        raise AssertionError(text)

    def warn(self, sentence: str) -> None:
        raise AssertionError(sentence)


def test_with_numeric_the_resolver_is_not_called_for_numbers() -> None:
    from holloway.text.native import read_configuration

    peer = Peer(Key(bytes(32)), endpoint=Endpoint("2001:db8::1", 5))
    text = dump_conf(Device("wg0", listen_port=7, peers=(peer,))).encode()
    update = read_configuration(text, NoResolver(), numeric=True)
    assert update.request().endswith(b"endpoint=[2001:db8::1]:5\nreplace_allowed_ips=true\n\n")
    with pytest.raises(AssertionError, match="7"):
        read_configuration(text, NoResolver())


def test_an_error_of_a_resolver_gets_its_line_and_key() -> None:
    class Deaf(NoResolver):
        def endpoint(self, host: str, service: str, text: str) -> Endpoint:
            raise ConfigError(f"no {host}")

    with pytest.raises(ConfigError) as caught:
        parse_conf("[Peer]\nEndpoint = b\udcfc.example:1\n", Deaf())
    error = caught.value
    assert (error.line, error.key, error.reason) == (2, "Endpoint", "no b\udcfc.example")

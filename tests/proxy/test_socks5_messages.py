"""The parsers of SOCKS5 survive any bytes, and what they accept is written back the same."""

from __future__ import annotations

from contextlib import suppress
from socket import AF_INET6, inet_ntop
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holloway.errors import BadMessage
from holloway.proxy import socks5
from holloway.proxy.socks5 import Datagram, Reply, Request

if TYPE_CHECKING:
    from collections.abc import Callable

PARSERS = [
    socks5.read_greeting_untrusted,
    socks5.read_credentials_untrusted,
    socks5.read_request_untrusted,
    socks5.read_datagram_untrusted,
]
HOSTS = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: inet_ntop(AF_INET6, address.packed)),
    st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,60}[a-z])", fullmatch=True),
)
PORTS = st.integers(0, 0xFFFF)


@pytest.mark.parametrize("parse", PARSERS)
@given(data=st.one_of(st.binary(max_size=600), st.binary(max_size=300).map(b"\x05\x01\0".__add__)))
def test_any_bytes_are_parsed_or_refused_as_a_bad_message(
    parse: Callable[[bytes], object], data: bytes
) -> None:
    with suppress(BadMessage):
        parse(data)


@given(HOSTS, PORTS, st.sampled_from([1, 2, 3]), st.binary(max_size=20))
def test_a_request_is_read_back_and_what_follows_is_left(
    host: str, port: int, command: int, rest: bytes
) -> None:
    data = bytes((5, command, 0)) + socks5.write_address(host, port)
    found = socks5.read_request_untrusted(data + rest)
    assert found == (Request(command, host, port), len(data))


@given(HOSTS, PORTS)
def test_a_request_cut_anywhere_is_too_short_and_not_wrong(host: str, port: int) -> None:
    data = b"\x05\x01\0" + socks5.write_address(host, port)
    assert {socks5.read_request_untrusted(data[:size]) for size in range(len(data))} == {None}


@given(HOSTS, PORTS, st.binary(max_size=100))
def test_a_datagram_is_read_back(host: str, port: int, payload: bytes) -> None:
    datagram = Datagram(host, port, payload)
    assert socks5.read_datagram_untrusted(socks5.write_datagram(datagram)) == datagram


@given(st.binary(min_size=1, max_size=255), st.binary(min_size=1, max_size=255))
def test_credentials_are_parsed_whole_or_not_at_all(user: bytes, password: bytes) -> None:
    data = bytes((1, len(user))) + user + bytes((len(password),)) + password
    assert socks5.read_credentials_untrusted(data) == ((user, password), len(data))
    assert {socks5.read_credentials_untrusted(data[:size]) for size in range(len(data))} == {None}


def test_a_greeting_has_the_methods() -> None:
    assert socks5.read_greeting_untrusted(b"\x05\x02\x00\x02rest") == (frozenset({0, 2}), 4)
    assert socks5.read_greeting_untrusted(b"\x05\x02\x00") is None


@pytest.mark.parametrize("data", [b"\x04\x01", b"GET / HTTP/1.1\r\n", b"\x16\x03\x01"])
def test_another_protocol_is_refused_at_its_first_byte(data: bytes) -> None:
    with pytest.raises(BadMessage, match="not SOCKS5"):
        socks5.read_greeting_untrusted(data[:1])


@pytest.mark.parametrize("name", [b"", b"a b", b"a\nb", b"\x1b[2J", b"\xc3\xa9", b"a" * 254])
def test_a_name_that_could_forge_a_line_of_the_log_is_refused(name: bytes) -> None:
    data = b"\x05\x01\0\x03" + bytes((len(name),)) + name + b"\0\x50"
    with pytest.raises(BadMessage, match="no host can have"):
        socks5.read_request_untrusted(data)


def test_an_unknown_type_of_address_has_an_error_of_its_own() -> None:
    with pytest.raises(socks5.AddressUnknown):
        socks5.read_request_untrusted(b"\x05\x01\0\x02aa")


def test_fragments_are_refused() -> None:
    with pytest.raises(BadMessage, match="fragment"):
        socks5.read_datagram_untrusted(b"\0\0\x01\x01\x7f\0\0\x01\0\x35data")


def test_replies_have_the_bytes_of_the_rfc() -> None:
    assert socks5.write_reply(Reply.REFUSED) == bytes.fromhex("05050001000000000000")
    reply = socks5.write_reply(Reply.SUCCEEDED, "::1", 0x1234)
    assert reply == bytes.fromhex("05000004" + "0" * 31 + "1" + "1234")

"""Messages of rtnetlink: as ip(8) sends them, read after writing, and invalid ones."""

from __future__ import annotations

import errno
import sys
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holloway.netlink import rtnetlink
from holloway.netlink.attributes import NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, attribute, message
from holloway.netlink.rtnetlink import AddressMessage, LinkMessage, RouteMessage, RuleMessage

# What `ip route add 10.1.0.0/16 dev lo table 777` sends, by strace, on a little-endian machine.
SENT = bytes.fromhex(
    "34000000 1800 0506 07000000 00000000"
    "02 10 00 00 fc 03 fd 01 00000000"
    "0800 0100 0a010000 0800 0400 01000000 0800 0f00 09030000"
)
networks = st.ip_addresses().flatmap(
    lambda ip: st.integers(0, ip.max_prefixlen).map(
        lambda length: ip_network((ip, length), strict=False)
    )
)


def test_a_route_is_sent_as_ip_sends_it() -> None:
    if sys.byteorder != "little":
        pytest.skip("netlink has the byte order of the machine")
    network = ip_network("10.1.0.0/16")
    route = rtnetlink.new_route(1, network.network_address.packed, network.prefixlen, 777)
    flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL
    assert message(rtnetlink.RTM_NEWROUTE, flags, 7, route) == SENT


@given(networks, st.integers(1, 2**32 - 1))
def test_a_route_is_read_as_it_is_written(network: object, table: int) -> None:
    assert isinstance(network, type(ip_network("0.0.0.0/0")) | type(ip_network("::/0")))
    packed = network.network_address.packed
    found = RouteMessage(rtnetlink.new_route(5, packed, network.prefixlen, table))
    assert (found.address, found.length, found.table) == (packed, network.prefixlen, table)
    assert (found.link, found.mtu, found.protocol) == (5, None, rtnetlink.RTPROT_BOOT)
    assert found.is_unicast


families = st.sampled_from((0, 2, 10)).map(lambda family: bytes([family]))
headers = st.sampled_from(
    (rtnetlink.IFINFOMSG, rtnetlink.IFADDRMSG, rtnetlink.RTMSG, rtnetlink.FIB_RULE_HDR)
).flatmap(
    lambda layout: st.tuples(
        families,
        st.binary(min_size=layout.size - 1, max_size=layout.size - 1) | st.binary(max_size=15),
    ).map(b"".join)
)
attributes = st.lists(
    st.tuples(st.integers(0, 30), st.binary(max_size=20)).map(lambda pair: attribute(*pair)),
    max_size=6,
).map(b"".join)


@given(headers, attributes, st.binary(max_size=8))
def test_any_bytes_are_a_message_or_a_protocol_error(
    start: bytes, middle: bytes, end: bytes
) -> None:
    for read in (LinkMessage, AddressMessage, RouteMessage, RuleMessage):
        try:
            read(start + middle + end)
        except OSError as error:
            assert error.errno == errno.EPROTO  # noqa: PT017

"""The bytes of routes, against a kernel's, and what comes back of them."""

from __future__ import annotations

import sys
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holloway.quick import route_messages as messages
from holloway.quick.netlink import Route

# What `ip route add 10.1.0.0/16 dev lo table 777` sends, by strace, on a little-endian machine.
SENT = bytes.fromhex(
    "34000000 1800 0506 07000000 00000000"
    "02 10 00 00 fc 03 fd 01 00000000"
    "0800 0100 0a010000 0800 0400 01000000 0800 0f00 09030000"
)


def test_a_route_is_sent_as_ip_sends_it():
    if sys.byteorder != "little":
        pytest.skip("netlink has the byte order of the machine")
    flags = messages.REQUEST | messages.ACKNOWLEDGE | messages.CREATE | messages.EXCLUSIVE
    route = Route(ip_network("10.1.0.0/16"), 777)
    assert messages.encode(messages.NEWROUTE, flags, 7, 1, route) == SENT


@given(
    network=st.ip_addresses().flatmap(
        lambda ip: st.integers(0, ip.max_prefixlen).map(
            lambda length: ip_network((ip, length), strict=False)
        )
    ),
    table=st.integers(1, 2**32 - 1),
)
def test_a_route_is_read_as_it_is_written(network: object, table: int):
    assert isinstance(network, type(ip_network("0.0.0.0/0")) | type(ip_network("::/0")))
    sent = messages.encode(messages.NEWROUTE, 0, 0, 5, Route(network, table))
    found = messages.decode(sent[messages.HEADER.size :])
    assert found == messages.RouteMessage(
        network.network_address.packed, network.prefixlen, table, messages.PROTOCOL_BOOT, 5, None
    )

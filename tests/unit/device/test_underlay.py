"""What counts as a change of our own address, from the messages that the kernel sends."""

from __future__ import annotations

import socket

from holloway.device.underlay import IFA_F_TENTATIVE, RTA_GATEWAY, RTA_PRIORITY, Underlay
from holloway.netlink import rtnetlink
from holloway.netlink.attributes import attribute, message, u32

OWN = 9
ETH, WLAN = 2, 3
HERE, THERE = b"\x0a\0\0\1", b"\x0a\0\0\2"


def address(
    packed: bytes = HERE, link: int = ETH, *, new: bool = True, flags: int = 0, scope: int = 0
) -> bytes:
    start = rtnetlink.IFADDRMSG.pack(socket.AF_INET, 24, flags, scope, link)
    kind = rtnetlink.RTM_NEWADDR if new else rtnetlink.RTM_DELADDR
    return message(kind, 0, 0, start + attribute(rtnetlink.IFA_LOCAL, packed))


def default(
    link: int = ETH, gateway: bytes = HERE, *, new: bool = True, length: int = 0, metric: int = 100
) -> bytes:
    fields = (socket.AF_INET, length, 0, 0, 254, 4, 0, rtnetlink.RTN_UNICAST, 0)
    kind = rtnetlink.RTM_NEWROUTE if new else rtnetlink.RTM_DELROUTE
    rest = u32(rtnetlink.RTA_OIF, link) + attribute(RTA_GATEWAY, gateway)
    return message(kind, 0, 0, rtnetlink.RTMSG.pack(*fields) + rest + u32(RTA_PRIORITY, metric))


def down(link: int) -> bytes:
    return message(rtnetlink.RTM_NEWLINK, 0, 0, rtnetlink.link(link))


def changes(*datagrams: bytes) -> list[bool]:
    underlay = Underlay()
    return [underlay.changed([each], OWN) for each in datagrams]


def test_a_new_address_and_one_that_goes_are_changes() -> None:
    assert changes(address(), address(THERE), address(new=False)) == [True, True, True]


def test_an_address_that_is_announced_again_is_none() -> None:
    assert changes(address(), address(), address()) == [True, False, False]


def test_an_address_that_comes_back_is_a_change() -> None:
    assert changes(address(), address(new=False), address()) == [True, True, True]
    underlay = Underlay()
    assert underlay.changed([address()], OWN)
    assert underlay.changed([address(new=False) + address()], OWN)  # both at once


def test_an_address_from_before_the_first_message_may_go() -> None:
    assert changes(address(new=False)) == [True]


def test_addresses_that_no_packet_leaves_from_are_no_changes() -> None:
    tentative, local = address(flags=IFA_F_TENTATIVE), address(scope=253)
    assert changes(tentative, local, address(link=OWN)) == [False, False, False]
    assert changes(tentative, address()) == [False, True]  # once it is in use


def test_a_default_route_that_is_another_is_a_change() -> None:
    assert changes(
        default(), default(), default(gateway=THERE), default(WLAN), default(WLAN, new=False)
    ) == [True, False, True, True, True]  # fmt: skip


def test_a_default_route_that_is_replaced_and_comes_back_is_a_change() -> None:
    assert changes(default(), default(WLAN), default()) == [True, True, True]
    assert changes(default(), default(WLAN, metric=600), default()) == [True, True, False]


def test_other_routes_and_our_own_are_no_changes() -> None:
    assert changes(default(length=24), default(OWN), default(OWN, new=False)) == [False] * 3


def test_what_was_on_a_link_that_went_down_counts_as_new() -> None:
    assert changes(default(), address(), down(ETH), default(), address()) == [
        True, True, False, True, True,
    ]  # fmt: skip
    assert changes(default(), down(WLAN), default()) == [True, False, False]

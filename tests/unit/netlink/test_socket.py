"""Requests and their answers: those of the running kernel, and rare ones."""

from __future__ import annotations

import errno
import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holloway.netlink import rtnetlink
from holloway.netlink.attributes import NLM_F_DUMP, messages
from holloway.netlink.rtnetlink import RTM_DELROUTE, RTM_GETLINK, LinkMessage, link, link_name
from holloway.netlink.socket import NETLINK_GENERIC, NETLINK_ROUTE, NetlinkSocket


def test_the_running_kernel_lists_its_links_and_refuses_an_unknown_one() -> None:
    with NetlinkSocket(NETLINK_ROUTE) as kernel:
        links = map(LinkMessage, kernel.dump(RTM_GETLINK, link()))
        assert [found.name for found in links] == [name for _, name in socket.if_nameindex()]
        with pytest.raises(OSError, match=r".") as refused:
            kernel.request(RTM_GETLINK, link(0, 0, 0, link_name("nosuch")))
    assert refused.value.errno == errno.ENODEV


def test_a_family_has_a_number_or_is_not_found() -> None:
    with NetlinkSocket(NETLINK_GENERIC) as kernel:
        assert kernel.family("nlctrl") == 16
        with pytest.raises(FileNotFoundError):
            kernel.family("nosuch")


def test_each_request_of_a_batch_has_its_own_result() -> None:
    loopback = socket.if_nametoindex("lo")
    missing = rtnetlink.old_route(loopback, socket.inet_aton("198.18.0.0"), 32, 777)
    with NetlinkSocket(NETLINK_ROUTE) as kernel:
        results = kernel.batch(RTM_DELROUTE, [missing, missing[:4]] * 150)
        assert results.count(errno.EINVAL) == 150
        assert set(results[::2]) <= {errno.ESRCH, errno.EPERM}
        assert kernel.batch(RTM_DELROUTE, []) == []


class Interrupted(NetlinkSocket):
    """A socket whose first two dumps are interrupted by a change."""

    requests = 0

    def request(self, kind: int, payload: bytes, flags: int = 0) -> list[bytes]:
        self.requests += 1
        if self.requests < 3:
            raise InterruptedError(errno.EINTR, os.strerror(errno.EINTR))
        return super().request(kind, payload, flags)


def test_an_interrupted_dump_is_requested_again() -> None:
    with Interrupted(NETLINK_ROUTE) as kernel:
        assert kernel.dump(RTM_GETLINK, link())
        assert kernel.requests == 3
        assert kernel.request(RTM_GETLINK, link(), NLM_F_DUMP)


@given(st.binary(max_size=60))
def test_any_datagram_is_messages_or_a_protocol_error(datagram: bytes) -> None:
    try:
        assert all(len(found) == 4 for found in messages(datagram))
    except OSError as error:
        assert error.errno == errno.EPROTO  # noqa: PT017

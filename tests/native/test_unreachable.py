"""Packets that have nowhere to go: counted always, answered and reported where asked for."""

from __future__ import annotations

import errno
import os

import pytest

from holloway._native import Unreachable
from holloway.device.link_sockets import open_link_sockets
from native.ends import End, until

pytestmark = pytest.mark.root

ANSWER = "Destination Host Unreachable"
ANSWER_V6 = "Destination unreachable: Address unreachable"


def ping(end: End, address: str) -> str:
    return end.host.run("ping", "-n", "-c", "1", "-W", "1", address, check=False).stdout


def answer(end: End) -> None:
    """Open the answer sockets where the end's interface is, as the daemon does."""
    sockets = open_link_sockets(end.tun.fileno())
    end.plane.set_icmp_sockets(*sockets.icmp_filenos())
    sockets.close_icmp()
    sockets.watch.close()


def test_without_sockets_packets_are_counted_and_nobody_is_told(near: End) -> None:
    assert ANSWER not in ping(near, "10.77.0.9")
    assert ANSWER not in ping(near, "10.77.0.2")
    # At least: the host looks for routers too.
    assert near.plane.discards()["no_peer"] >= 1
    assert near.plane.discards()["no_endpoint"] == 1
    assert near.peer.discards() == {"no_endpoint": 1}


def test_with_sockets_the_sender_is_told_and_packets_are_counted_as_before(near: End) -> None:
    answer(near)
    for address in ("10.77.0.9", "10.77.0.2"):
        assert f"From 10.77.0.1 icmp_seq=1 {ANSWER}" in ping(near, address)
    for address in ("fd77::9", "fd77::2"):
        assert f"From fd77::1 icmp_seq=1 {ANSWER_V6}" in ping(near, address)
    assert near.plane.discards()["no_peer"] >= 2
    assert near.plane.discards()["no_endpoint"] == 2


def test_the_answers_stop_with_the_sockets(near: End) -> None:
    answer(near)
    assert ANSWER in ping(near, "10.77.0.9")
    near.plane.set_icmp_sockets(None, None, None)
    assert ANSWER not in ping(near, "10.77.0.9")


def test_a_descriptor_that_is_none_is_refused_and_what_was_before_stays(near: End) -> None:
    answer(near)
    with pytest.raises(OSError, match="descriptor") as caught:
        near.plane.set_icmp_sockets(-1, None, None)
    assert caught.value.errno == errno.EBADF
    assert ANSWER in ping(near, "10.77.0.9")


def test_new_sockets_leak_nothing(near: End) -> None:
    answer(near)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        answer(near)
    assert len(os.listdir("/proc/self/fd")) <= before


def test_a_brain_that_asked_is_told_where_to_and_which_peer(near: End) -> None:
    near.plane.report_unreachable(True)
    for address, peer in (("10.77.0.9", None), ("fd77::2", near.peer.id)):
        ping(near, address)
        event = near.expect(Unreachable)[-1]
        assert isinstance(event, Unreachable)
        assert (event.destination, event.peer) == (address, peer)
    near.plane.report_unreachable(False)
    ping(near, "10.77.0.2")
    assert until(lambda: near.plane.discards()["no_endpoint"] == 2)
    near.plane.events()
    ping(near, "10.77.0.2")
    assert until(lambda: near.plane.discards()["no_endpoint"] == 3)
    assert near.events(0.1) == []

"""The shell between plane and brain, with a plane whose interface is in memory."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING

import pytest

from holloway import _native
from holloway.core.constants import NEVER, Nanoseconds
from holloway.core.peer import Peer
from holloway.device.tunnel import Tunnel
from holloway.key import Key
from holloway.model import DeviceUpdate, Endpoint, PeerUpdate
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = tuple(Key(bytes([number] * 32)).public() for number in range(1, 21))


@pytest.fixture
def stack() -> Iterator[_native.Stack]:
    stack = _native.Stack("test", [("10.0.0.1", 24)], 1420, 4096)
    yield stack
    stack.close()


def test_an_exception_costs_the_one_event_and_no_other(
    stack: _native.Stack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The first of many peers that need a session fails; the others get theirs all the same."""
    initiate = Peer._initiate
    served: list[bytes] = []

    def fail_for_one(peer: Peer[_native.Endpoint], now: Nanoseconds) -> None:
        if peer.public_key == KEYS[0].raw:
            raise RuntimeError("a defect")
        served.append(peer.public_key)
        initiate(peer, now)

    monkeypatch.setattr(Peer, "_initiate", fail_for_one)

    async def run() -> None:
        tunnel = Tunnel(stack.tun)
        try:
            tunnel.link_changed(up=True, mtu=1420)
            peers = [
                PeerUpdate(key, endpoint=Endpoint("127.0.0.1", 9), persistent_keepalive=25)
                for key in KEYS
            ]
            tunnel.set(DeviceUpdate(Key(bytes([99] * 32)), peers=tuple(peers)))
            assert await wait_until(lambda: len(served) == len(KEYS) - 1)
            assert tunnel._timer is not None, "or nothing would be sent a second time"
        finally:
            tunnel.close()

    asyncio.run(run())
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "RuntimeError: a defect" in record.getMessage()
    assert "SessionNeeded" in record.getMessage()


def test_an_exception_in_a_timer_costs_no_other_timer(
    stack: _native.Stack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looked: set[bytes] = set()

    def fail_for_one(peer: Peer[_native.Endpoint], *_: object) -> None:
        if peer.public_key == KEYS[0].raw:
            raise RuntimeError("a defect")
        looked.add(peer.public_key)

    async def run() -> None:
        tunnel = Tunnel(stack.tun)
        try:
            tunnel.link_changed(up=True, mtu=1420)
            peers = tuple(PeerUpdate(key, persistent_keepalive=1) for key in KEYS)
            tunnel.set(DeviceUpdate(Key(bytes([99] * 32)), peers=peers))
            monkeypatch.setattr(Peer, "handle_timer", fail_for_one)
            assert await wait_until(lambda: len(looked) == len(KEYS) - 1)
        finally:
            tunnel.close()

    asyncio.run(run())
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "an expired timer" in record.getMessage()


def test_a_peer_that_completes_handshakes_as_fast_as_it_may_keeps_four_indices(
    stack: _native.Stack,
) -> None:
    """A hostile peer: 50 handshakes a second for 200 seconds, confirmed or not."""
    plane = _native.Plane(stack.tun)
    try:
        peer = plane.peer(KEYS[0].raw)
        for index in range(10_000):
            peer.install(
                _native.SessionKeys(index, index, bytes(32), bytes(32)), confirmed=index % 3 == 0,
                renew_on_send=NEVER, renew_on_receive=NEVER, reject=NEVER,
            )  # fmt: skip
            used = [old for old in range(max(0, index - 20), index + 1) if plane.uses_index(old)]
            assert index in used
            assert len(used) <= 3
        assert sum(map(plane.uses_index, range(10_000))) <= 3
        peer.erase()
        assert not any(map(plane.uses_index, range(10_000)))
    finally:
        plane.close()


def test_an_index_that_awaits_a_response_is_used(stack: _native.Stack) -> None:
    plane = _native.Plane(stack.tun)
    try:
        plane.bind(0, 0)
        peer = plane.peer(KEYS[0].raw)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
            there.bind(("127.0.0.1", 0))
            peer.set_endpoint(_native.Endpoint(*there.getsockname()))
            for index in (7, 8):
                message = b"\1\0\0\0" + index.to_bytes(4, "little") + bytes(108)
                peer.send_handshake(message, 1)
        assert not plane.uses_index(7), "a newer initiation has replaced this one"
        assert plane.uses_index(8)
    finally:
        plane.close()

"""The shell between plane and brain, with a plane whose interface is in memory."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from holloway import _native
from holloway.core.constants import Nanoseconds
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

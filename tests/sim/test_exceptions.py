"""An exception while a device handles something: it raises, is counted, and all else goes on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from holloway.core.constants import ERASE_AFTER_TIME, REKEY_TIMEOUT, SECOND, Nanoseconds
from holloway.key import Key
from holloway.model import DeviceUpdate, Endpoint, PeerUpdate
from sim.device import SimDevice
from sim.pair import Pair, seconds


class Defect(Exception):
    """What no code expects."""


def fail_once(owner: object, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next call of a method raise."""
    method: Callable[..., object] = getattr(owner, name)

    def fail(*arguments: object, **named: object) -> object:
        monkeypatch.setattr(owner, name, method)
        raise Defect

    monkeypatch.setattr(owner, name, fail)


def expired(device: SimDevice, now: Nanoseconds) -> bool:
    deadline = device.next_timeout()
    return deadline is not None and deadline <= now


def test_an_initiation_that_failed_is_sent_later(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair()
    fail_once(pair.a.peer, "send_handshake", monkeypatch)
    with pytest.raises(Defect):
        pair.a.send_data(b"staged")
    pair.run(REKEY_TIMEOUT / SECOND + 1)
    assert pair.b.received == [b"staged"]


def test_a_timer_that_failed_expires_again_and_costs_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pair = Pair.established()
    other = Key(bytes([7] * 32)).public()
    interval = ERASE_AFTER_TIME // SECOND + 60
    keepalive = PeerUpdate(other, endpoint=Endpoint("192.0.2.7", 7), persistent_keepalive=interval)
    pair.a.update(DeviceUpdate(peers=(keepalive,)))
    failing = pair.a.plane.peers[1]
    fail_once(failing, "erase", monkeypatch)
    pair.now = seconds(pair.now / SECOND + interval + 1)
    with pytest.raises(Defect):
        pair.a.handle_timeout()
    assert expired(pair.a.device, pair.now)
    pair.a.handle_timeout()
    assert not expired(pair.a.device, pair.now)
    assert failing.sessions()
    pair.run(REKEY_TIMEOUT / SECOND)
    assert not failing.sessions()


def test_a_debt_that_failed_does_not_end_the_debts(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair.established()
    pair.run(20)
    fail_once(pair.b.peer, "due", monkeypatch)
    pair.a.send_data()
    with pytest.raises(Defect):
        pair.run(1)
    keepalives = pair.b.keepalives_sent
    pair.run(16)
    assert pair.b.keepalives_sent == keepalives + 1


def test_a_confirmation_that_failed_arms_the_next_event(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair()
    pair.a.send_data()
    pair.run(0.015)  # the response is on its way
    fail_once(pair.b.peer, "arm_session_needed", monkeypatch)
    with pytest.raises(Defect):
        pair.run(1)
    pair.run(200)
    sent = pair.b.send_data()
    pair.run(1)
    assert pair.a.received[-1] == sent


def test_a_handshake_message_that_failed_is_counted_and_the_next_one_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pair = Pair()
    fail_once(pair.b.peer, "handshake_received", monkeypatch)
    pair.a.send_data(b"staged")
    with pytest.raises(Defect):
        pair.run(1)
    assert pair.b.device.discards()["internal_error"] == 1
    pair.run(6)
    assert pair.b.received == [b"staged"]


def test_an_initiation_whose_retransmission_is_set_already_is_sent_no_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pair = Pair()
    pair.link.cut()
    fail_once(pair.a.peer, "arm_session_needed", monkeypatch)
    with pytest.raises(Defect):
        pair.a.send_data()
    before = pair.a.device.next_timeout()
    assert before is not None
    pair.run(5.5)
    assert pair.a.handshakes_started == 2

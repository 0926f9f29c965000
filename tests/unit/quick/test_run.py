"""Steps run in order and are undone in reverse, whatever fails."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import pytest

from holloway.errors import HollowayError
from holloway.quick.interrupts import Interrupted, Interrupts
from holloway.quick.run import Failed, Transaction
from holloway.quick.steps import Host, Step

if TYPE_CHECKING:
    from holloway.control import Control
    from holloway.netlink.route import RouteSocket


@dataclass(frozen=True)
class Plain:
    """A step that raises `error`, if it has one."""

    text: str
    error: BaseException | None = None

    def apply(self, host: Host) -> None:
        if self.error is not None:
            raise self.error


@dataclass(frozen=True)
class Reversible(Plain):
    inverse_step: Step | None = None

    def inverse(self, host: Host) -> Step | None:
        return self.inverse_step or Plain(f"undo {self.text}")


@dataclass(frozen=True)
class Signalled(Plain):
    def apply(self, host: Host) -> None:
        signal.raise_signal(signal.SIGTERM)


def unknown(name: str) -> Control:
    raise AssertionError(name)


def host() -> Host:
    return Host(cast("RouteSocket", None), Interrupts(), unknown)


def lines(captured: pytest.CaptureFixture[str]) -> list[str]:
    return captured.readouterr().err.splitlines()


def test_successful_steps_are_not_undone(capsys: pytest.CaptureFixture[str]):
    with Transaction(host()) as transaction:
        transaction.run([Reversible("a"), Plain("b")])
        transaction.run([Reversible("c")])
    assert lines(capsys) == ["[#] a", "[#] b", "[#] c"]


def test_a_failure_is_printed_and_all_steps_are_undone_in_reverse(
    capsys: pytest.CaptureFixture[str],
):
    steps = [Reversible("a"), Plain("b"), Reversible("c"), Plain("d", OSError(17, "in the way"))]
    with pytest.raises(Failed), Transaction(host()) as transaction:
        transaction.run([*steps, Plain("never")])
    assert lines(capsys) == [
        "[#] a", "[#] b", "[#] c", "[#] d", "wg-quick: in the way", "[#] undo c", "[#] undo a",
    ]  # fmt: skip


def test_a_step_that_fails_half_way_is_undone_too(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(Failed), Transaction(host()) as transaction:
        transaction.run([Reversible("a", HollowayError("no"))])
    assert lines(capsys) == ["[#] a", "wg-quick: no", "[#] undo a"]


def test_a_failed_undo_does_not_stop_the_others(capsys: pytest.CaptureFixture[str]):
    broken = Reversible("b", inverse_step=Plain("undo b", OSError(5, "broken")))
    with pytest.raises(Failed), Transaction(host()) as transaction:
        transaction.run([Reversible("a"), broken, Plain("c", HollowayError("no"))])
    assert lines(capsys)[-3:] == ["[#] undo b", "wg-quick: broken", "[#] undo a"]


def test_an_unexpected_exception_undoes_all_and_is_not_hidden(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(ZeroDivisionError), Transaction(host()) as transaction:
        transaction.run([Reversible("a"), Plain("b", ZeroDivisionError())])
    assert lines(capsys) == ["[#] a", "[#] b", "[#] undo a"]


def test_a_signal_undoes_all_after_the_step_ends(capsys: pytest.CaptureFixture[str]):
    inside = host()
    with inside.interrupts.handled(), pytest.raises(Failed), Transaction(inside) as transaction:
        transaction.run([Reversible("a"), Signalled("b"), Plain("never")])
    expected = ["[#] a", "[#] b", "wg-quick: interrupted by SIGTERM", "[#] undo a"]
    assert lines(capsys) == expected


def test_a_signal_in_the_last_step_counts():
    inside = host()
    with inside.interrupts.handled(), pytest.raises(Failed), Transaction(inside) as transaction:
        transaction.run([Signalled("a")])


def test_a_signal_ends_one_wait_at_once():
    interrupts = Interrupts()
    with interrupts.handled():
        with pytest.raises(Interrupted, match="SIGINT"), interrupts.interruptible():
            signal.raise_signal(signal.SIGINT)
        interrupts.check()


def test_a_signal_before_a_wait_ends_it_before_it_begins():
    interrupts = Interrupts()
    with interrupts.handled():
        signal.raise_signal(signal.SIGHUP)
        with pytest.raises(Interrupted), interrupts.interruptible():
            raise AssertionError("the wait began")


def test_handlers_are_restored_and_ignored_signals_stay_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        interrupts = Interrupts()
        with interrupts.handled():
            signal.raise_signal(signal.SIGHUP)
            interrupts.check()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)

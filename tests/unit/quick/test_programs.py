"""Hooks run by bash as upstream's script runs them: in a subshell, with its options."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from holloway.quick.interrupts import Interrupts
from holloway.quick.programs import (
    ProgramFailed,
    environment,
    find_program,
    run_hook,
    run_program,
)

if TYPE_CHECKING:
    from pathlib import Path


def output(hook: str, captured: pytest.CaptureFixture[str]) -> str:
    run_hook(hook, "wg0", Interrupts())
    return captured.readouterr().out


@pytest.mark.parametrize(
    ("hook", "expected"),
    [
        ("echo a; echo \"b '$(echo c)'\"", "a\nb 'c'\n"),
        ("echo $INTERFACE $LC_ALL $0", "wg0 C wg-quick\n"),
        ("[[ aaa == +(a) ]] && echo extglob", "extglob\n"),
        ("cat <(echo substituted)", "substituted\n"),
        ("false || echo or", "or\n"),
        ("echo \\~home '%d\\n' # and so on", "~home %d\\n\n"),
        ("", ""),
        ("exit 0; echo never", ""),
        (f"echo {'x' * 100_000}", f"{'x' * 100_000}\n"),
    ],
    ids=lambda value: value[:20],
)
def test_a_hook_is_evaluated_by_bash(hook: str, expected: str, capfd: pytest.CaptureFixture[str]):
    assert output(hook, capfd) == expected


def test_a_hook_sees_no_descriptor_of_ours(capfd: pytest.CaptureFixture[str]):
    open_ones = output("ls /proc/self/fd", capfd).split()
    # The listing itself opens one more than the three standard streams.
    assert len(open_ones) == 4


@pytest.mark.parametrize(
    ("hook", "reason"),
    [
        ("exit 7", "hook ended with exit code 7"),
        ("false; echo never", "hook ended with exit code 1"),
        ("false | true", "hook ended with exit code 1"),
        ("nosuchprogram 2>/dev/null", "hook ended with exit code 127"),
        ("( 2>/dev/null", "hook ended with exit code"),
    ],
)
def test_a_failed_hook_names_its_exit_code(
    hook: str, reason: str, capfd: pytest.CaptureFixture[str]
):
    with pytest.raises(ProgramFailed, match=reason):
        run_hook(hook, "wg0", Interrupts())
    assert "never" not in capfd.readouterr().out


def test_a_program_ended_by_a_signal_names_it():
    with pytest.raises(ProgramFailed, match="sh ended by SIGKILL"):
        run_program(["sh", "-c", "kill -9 $$"], Interrupts())


def test_programs_installed_beside_wg_quick_are_found_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "wg-quick")])
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert environment()["PATH"] == "/usr/bin:/bin"
    for name in ("wg", "holloway-device"):
        (tmp_path / name).touch(mode=0o755)
    assert environment()["PATH"] == f"{tmp_path}:/usr/bin:/bin"
    assert find_program("holloway-device") == str(tmp_path / "holloway-device")
    assert find_program("nosuchprogram") is None

"""`holloway log` with devices that give scripted answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from holloway.cli.holloway import main
from holloway.control import uapi
from scripted_device import ScriptedDevice


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    monkeypatch.setattr(uapi, "DIRECTORY", ".")
    return tmp_path


def device(answer: str) -> ScriptedDevice:
    made = ScriptedDevice("wg0.sock")
    made.set_answer = answer
    return made


def test_the_level_is_shown_and_changed(capsys: pytest.CaptureFixture[str]) -> None:
    with device("level=error\nerrno=0\n\n") as asked:
        assert main(["log", "wg0"]) == 0
        assert main(["log", "wg0", "verbose"]) == 0
    assert asked.requests == ["log=\n\n", "log=verbose\n\n"]
    assert capsys.readouterr().out == "error\n"


def test_following_prints_the_lines_until_the_device_ends(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with device("level=verbose\nerrno=0\n\none\n\ntwo\n") as asked:
        assert main(["log", "wg0", "--follow"]) == 0
    assert asked.requests == ["log=follow\n\n"]
    assert capsys.readouterr() == ("one\n\ntwo\n", "")


def test_following_a_quiet_device_suggests_the_verbose_level(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with device("level=error\nerrno=0\n\n"):
        assert main(["log", "-f", "wg0"]) == 0
    assert "holloway log wg0 verbose" in capsys.readouterr().err


@pytest.mark.parametrize(
    "answer", ["", "errno=22\n\n", "errno=-22\n\n", "errno=5\n\n", "errno=0\n\n"]
)
@pytest.mark.parametrize("options", [[], ["verbose"], ["--follow"]])
def test_a_device_without_this_request_has_its_own_message(
    capsys: pytest.CaptureFixture[str], answer: str, options: list[str]
) -> None:
    with device(answer):
        assert main(["log", "wg0", *options]) == 1
    expected = "holloway log: the device of wg0 cannot change its log while it runs\n"
    assert capsys.readouterr() == ("", expected)


def test_a_missing_device_is_named_in_the_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["log", "nope"]) == 1
    assert capsys.readouterr().err == "holloway log: no device serves nope\n"
    assert main(["log", "x" * 200]) == 1
    assert "AF_UNIX path too long" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [[], ["--follow"], ["wg0", "loud"], ["wg0", "error", "silent"], ["--bogus"]]
)
def test_a_wrong_call_shows_the_usage(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert main(["log", *words]) == 1
    assert capsys.readouterr().err.startswith("Usage: holloway log INTERFACE")


def test_the_help_needs_no_device(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["log", "--help"]) == 0
    assert "--follow" in capsys.readouterr().out

"""The command line: without root, and with bytes that it must not change."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from holloway.cli.wg_quick import main

if TYPE_CHECKING:
    from pathlib import Path


class Replaced(Exception):
    """The process would have become another program."""


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def test_without_root_it_starts_itself_again_under_sudo(monkeypatch: pytest.MonkeyPatch):
    started: list[list[str]] = []

    def execvp(program: str, arguments: list[str]) -> None:
        started.append([program, *arguments])
        raise Replaced

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "execvp", execvp)
    monkeypatch.setattr(sys, "orig_argv", ["python3", "/usr/bin/wg-quick", "up", "wg0"])
    with pytest.raises(Replaced):
        main(["up", "wg0"])
    prompt = "wg-quick must be run as root. Please enter the password for %u to continue: "
    itself = [sys.executable, "/usr/bin/wg-quick", "up", "wg0"]
    assert started == [["sudo", "sudo", "-p", prompt, "--", *itself]]


def test_without_root_and_sudo_it_prints_that_it_needs_root(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="1"):
        main(["up", "wg0"])
    assert capsys.readouterr().err == "wg-quick must be run as root\n"


@pytest.mark.usefixtures("as_root")
def test_strip_prints_bytes_that_are_not_utf8_unchanged(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
):
    path = tmp_path / "wg0.conf"
    path.write_bytes(b"[Interface]\nMTU = 1300\n# caf\xe9 \xf0\x9f\x98\x80\nListenPort = 1\n")
    path.chmod(0o600)
    assert main(["strip", str(path)]) == 0
    expected = b"[Interface]\n# caf\xe9 \xf0\x9f\x98\x80\nListenPort = 1\n\n"
    assert capfdbinary.readouterr().out == expected


@pytest.mark.usefixtures("as_root")
def test_a_bad_file_is_refused_with_line_key_and_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "wg0.conf"
    path.write_text("[Interface]\n\nSaveConfig = maybe\n")
    path.chmod(0o600)
    assert main(["strip", str(path)]) == 1
    said = "wg-quick: line 3: SaveConfig: `maybe' is neither true nor false\n"
    assert capsys.readouterr().err == said


@pytest.mark.usefixtures("as_root")
@pytest.mark.parametrize("arguments", [["dwon", "wg0"], ["up"], [], ["up", "a", "b"]])
def test_a_wrong_call_shows_the_usage_and_the_word_that_is_no_command(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
):
    assert main(arguments) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    usage = shown.err.removeprefix("wg-quick: unknown command `dwon'\n")
    assert (usage != shown.err) == ("dwon" in arguments)
    assert usage.startswith("Usage: wg-quick [ up | down | save | strip | reload ] ")

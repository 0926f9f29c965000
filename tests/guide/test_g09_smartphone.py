"""Common tasks, a smartphone: the QR code on the terminal is the file, and a phone can use it."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from holloway.cli.holloway import main
from holloway.key import Key

if TYPE_CHECKING:
    from pathlib import Path

PRIVATE_KEY = Key(bytes(range(32))).clamped().base64
CONFIG = f"""\
[Interface]
PrivateKey = {PRIVATE_KEY}
Address = 10.10.11.4/24
DNS = 10.10.10.1

[Peer]
# the office: ä the router
PublicKey = {Key(bytes([7] * 32)).base64}
AllowedIPs = 10.10.11.0/24, 10.10.10.0/24
Endpoint = 198.51.100.2:51000
"""
# What is light in the upper and in the lower half of a character.
HALVES = {"█": "11", "▀": "10", "▄": "01", " ": "00"}


def decoded(screen_until: str, directory: Path) -> bytes:
    """Look at a QR code as it stands on a terminal, and read it with another program."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", screen_until).strip("\n").split("\n")
    rows = [[HALVES[c][half] for c in line] for line in lines for half in (0, 1)]
    scale = 4
    bitmap = "".join(
        "".join("01"[cell == "0"] * scale for cell in row) + "\n"
        for row in rows
        for _ in range(scale)
    )
    picture = directory / "code.pbm"
    picture.write_text(f"P1\n{len(rows[0]) * scale} {len(rows) * scale}\n{bitmap}")
    read = subprocess.run(["zbarimg", "--quiet", "--raw", "-Sbinary", str(picture)],
                          capture_output=True, check=True)  # fmt: skip
    return read.stdout


@pytest.fixture
def phone(tmp_path: Path) -> Path:
    return tmp_path / "phone.conf"


def test_the_code_holds_what_qrencodes_holds(
    phone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    phone.write_text(CONFIG)
    assert main(["qr", str(phone)]) == 0
    ours, errors = capsys.readouterr()
    theirs = subprocess.run(["qrencode", "-t", "ansiutf8"], input=CONFIG, text=True,
                            capture_output=True, check=True).stdout  # fmt: skip
    assert decoded(ours, tmp_path) == CONFIG.encode() == decoded(theirs, tmp_path)
    assert errors == ""


def test_a_key_that_only_a_hook_sets_is_refused(phone: Path, capsys: pytest.CaptureFixture[str]):
    hook = "PostUp = wg set %i private-key /etc/wireguard/%i.key"
    phone.write_text(CONFIG.replace(f"PrivateKey = {PRIVATE_KEY}", hook))
    assert main(["qr", str(phone)]) == 1
    screen_until, errors = capsys.readouterr()
    assert screen_until == ""
    assert "no PrivateKey in [Interface]. A hook sets it, and phones run no hooks." in errors


@pytest.mark.parametrize("line", ["PostUp = true", "Table = off", "SaveConfig=true", "FwMark = 1"])
def test_what_phones_refuse_is_warned_of(
    phone: Path, capsys: pytest.CaptureFixture[str], line: str
):
    phone.write_text(CONFIG.replace("[Interface]", f"[Interface]\n{line} # comment"))
    assert main(["qr", str(phone)]) == 0
    assert f"refuse a file with these keys: {line.partition('=')[0].strip().lower()}\n" in (
        capsys.readouterr().err
    )


def test_a_file_too_long_for_any_code_is_refused(phone: Path, capsys: pytest.CaptureFixture[str]):
    phone.write_text(CONFIG + "# " + "x" * 4000)
    assert main(["qr", str(phone)]) == 1
    assert "too long for a QR code" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["qr", str(tmp_path / "nosuch.conf")]) == 1
    assert "nosuch.conf: No such file or directory" in capsys.readouterr().err

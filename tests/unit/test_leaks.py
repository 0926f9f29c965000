"""The search for secret keys in outputs (`leaks`) finds what a program prints."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from holloway.key import Key
from leaks import LEAKS, PIECE

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = Key(os.urandom(32)).clamped()


def run(script: str, *more: str, stdin: str = "") -> None:
    subprocess.run(["sh", "-c", script, *more], input=stdin, capture_output=True, text=True,
                   check=True)  # fmt: skip


FORMS = {
    "base64": KEY.base64,
    "hexadecimal": KEY.hex,
    "its beginning": KEY.base64[:PIECE],
    "its end": KEY.base64[-PIECE - 1 : -1],
    "within a word": f"x{KEY.base64}",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_key_or_a_piece_of_it_on_standard_error_is_found(form: str) -> None:
    run(f"echo {FORMS[form]} >&2")
    assert len(LEAKS.take()) == 1


def test_a_key_on_standard_output_is_found_if_the_program_shows_none() -> None:
    run(f"echo {KEY.base64}", "holloway-device")
    assert len(LEAKS.take()) == 1
    run(f"echo {KEY.base64}", "wg showconf wg0")
    assert LEAKS.take() == []


def test_a_key_that_a_command_prints_within_a_test_is_found(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print(KEY.base64, file=sys.stderr)
    capsys.readouterr()
    assert len(LEAKS.take()) == 1


def read(text: str) -> None:
    run("cat", stdin=text)


WAYS: dict[str, Callable[[Key], object]] = {
    "a file's line": lambda key: read(f"[Interface]\nPrivateKey = {key.base64}\n"),
    "a preshared key": lambda key: read(f"[Peer]\npresharedkey={key.base64}\n"),
    "a request": lambda key: read(f"private_key={key.hex}\n"),
    "genkey": lambda key: run(f"echo {key.base64}", "genkey"),
    "a private key in Python": Key.public,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_key_is_known_from(way: str) -> None:
    secret = Key(os.urandom(32))
    run(f"echo {secret.base64} >&2")
    assert LEAKS.take() == []
    WAYS[way](secret)
    run(f"echo {secret.base64} >&2")
    assert len(LEAKS.take()) == 1

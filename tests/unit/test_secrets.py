"""No message contains a key, whatever line or word it is in."""

from __future__ import annotations

import asyncio
import logging
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holloway.cli import holloway, wg, wg_quick
from holloway.control import uapi
from holloway.device.log import DeviceLog
from holloway.device.uapi_server import UapiConnection
from holloway.errors import ConfigError, HollowayError, without_keys
from holloway.text.native import State
from models import keys
from scripted_device import ScriptedDevice

if TYPE_CHECKING:
    from pathlib import Path

    from holloway.key import Key

RAW = bytes.fromhex("82b70eee7f1a5039bef07ec2347f06b7b08f5dc75124785e3d11020002b6e545")
SECRET = b64encode(RAW).decode()
MISTYPED = [
    f"PrivatKey = {SECRET}",
    f"PrivateKey: {SECRET}",
    f"PrivateKey {SECRET}",
    f"PresharedKey = {SECRET}",
    f"PrivateKey = x{SECRET}",
    f"PrivateKey = {SECRET[:-1]}",
    f"PrivateKey = {SECRET[:-2]}=",
    f"PrivateKey = {SECRET}{SECRET}",
    f"PrivateKey = {RAW.hex()}",
    f"FwMark = {SECRET}",
    f"ListenPort = {SECRET}",
    SECRET,
    # A character that is missing, too many, or wrong.
    *(f"{setting} {bad}" for setting in ("PrivateKey =", "PrivateKey", "MTU =")
      for bad in (SECRET[1:], SECRET[:30], f"{SECRET}=", f"x{SECRET}", *(
          SECRET[:place] + wrong + SECRET[place + 1 :]
          for place in (10, 25) for wrong in "!:'é"
      ))),
]  # fmt: skip
PIECE = 12
"""A message must not contain this many characters of a key."""


def pieces(text: str) -> set[str]:
    """Return the pieces of the key in a text, in base64 or hexadecimal, of either case."""
    found = {SECRET[start : start + PIECE] for start in range(len(SECRET) - PIECE)}
    found |= {RAW.hex()[start : start + PIECE] for start in range(64 - PIECE)}
    return {piece for piece in found if piece.lower() in text.lower()}


@pytest.fixture(autouse=True)
def _directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(uapi, "DIRECTORY", ".")
    monkeypatch.setenv("WG_ENDPOINT_RESOLUTION_RETRIES", "0")


@pytest.mark.parametrize("line", MISTYPED)
@pytest.mark.parametrize("command", ["setconf", "addconf", "syncconf"])
def test_wg_hides_the_key_of_a_bad_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, line: str
) -> None:
    (tmp_path / "wg0.conf").write_text(f"[Interface]\n{line}\n")
    with ScriptedDevice("wg0.sock", "errno=0\n\n"):
        assert wg.main([command, "wg0", "wg0.conf"]) == 1
    shown = capsys.readouterr().err
    assert "(hidden)" in shown
    assert not pieces(shown)


@pytest.mark.parametrize(
    "words",
    [
        [SECRET],
        ["show", "wg0", SECRET],
        ["set", "wg0", SECRET, "5"],
        ["set", "wg0", "listen-port", SECRET],
        ["set", "wg0", "peer", f"{SECRET}x"],
        ["set", "wg0", "peer", SECRET, "endpoint", SECRET],
        ["set", "wg0", "peer", SECRET, "endpoint", f"{SECRET}:5"],
        ["set", "wg0", "peer", SECRET, "allowed-ips", SECRET],
    ],
)
def test_wg_hides_a_key_in_a_wrong_place(
    capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    with ScriptedDevice("wg0.sock", "errno=0\n\n"):
        assert wg.main(words) == 1
    shown = capsys.readouterr().err
    assert "(hidden)" in shown
    assert not pieces(shown)


@pytest.mark.parametrize("line", MISTYPED)
@pytest.mark.parametrize("command", ["run", "proxy", "qr"])
def test_other_commands_hide_the_key_of_a_bad_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, line: str
) -> None:
    (tmp_path / "wg0.conf").write_text(f"[Interface]\n{line}\nAddress = 10.0.0.1\n")
    words = {"run": ["./wg0.conf", "true"], "proxy": ["./wg0.conf", "--check"]}
    assert holloway.main([command, *words.get(command, ["./wg0.conf"])]) in (0, 1, 125)
    assert not pieces(capsys.readouterr().err)


@pytest.mark.parametrize("line", MISTYPED)
def test_wg_quick_hides_the_key_of_a_bad_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    line: str,
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    (tmp_path / "wg0.conf").write_text(f"[Interface]\n{line}\n")
    assert wg_quick.main(["up", "--dry-run", "./wg0.conf"]) == 1
    shown = capsys.readouterr().err
    assert "(hidden)" in shown
    assert not pieces(shown)


@given(
    key=keys,
    place=st.integers(0, 43),
    wrong=st.characters(exclude_categories=["Z", "C"], exclude_characters="`'="),
)
def test_a_wrong_private_key_is_hidden_whatever_is_wrong_with_it(
    key: Key, place: int, wrong: str
) -> None:
    bad = key.base64[:place] + wrong + key.base64[place + 1 :]
    for text in (
        f"PrivateKey={bad}",
        f"PresharedKey:{bad}",
        f"Line unrecognized: `PrivateKey{bad}'",
    ):
        assert bad[:8] not in without_keys(text)
        assert bad[-8:] not in without_keys(text)


@given(key=keys, wrong=st.lists(st.integers(8, 35), min_size=2, max_size=2, unique=True))
def test_pieces_on_both_sides_of_a_hidden_key_are_hidden(key: Key, wrong: list[int]) -> None:
    first, second = (key.base64[:place] for place in wrong)
    text = without_keys(f"{first},{key.base64},{second}")
    for piece in (first, second):
        if sum(map(str.isupper, piece[:8])) > 1:  # as of a key, not of a word
            assert piece[:8] not in text


@pytest.mark.parametrize(
    "body",
    [
        f"private_key={RAW.hex()}0",
        f"privat_key={RAW.hex()}",
        f"private_key {RAW.hex()}",
        f"{RAW.hex()}=1",
        f"public_key={'05' * 32}\nallowed_ip={RAW.hex()}",
        f"public_key={'05' * 32}\nendpoint={RAW.hex()}:5",
        f"public_key={'05' * 32}\nendpoint={SECRET}:5",
    ],
)
def test_the_log_of_a_device_hides_the_key_of_a_bad_line(
    capsys: pytest.CaptureFixture[str], body: str
) -> None:
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    device_log = DeviceLog("wg0", "verbose")
    device_log.install()
    try:
        connection = UapiConnection(_Device(), device_log)
        connection.connection_made(_Client())
        connection.data_received(f"set=1\n{body}\n\n".encode())
    finally:
        root.setLevel(level)
        root.handlers[:] = handlers
    shown = capsys.readouterr().err
    assert "UAPI: " in shown
    assert not pieces(shown)


def test_the_log_hides_a_key_in_an_argument(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    DeviceLog("wg0", "verbose").install()
    try:
        logging.getLogger("holloway").error("A trouble with %s", SECRET)
    finally:
        root.setLevel(level)
        root.handlers[:] = handlers
    assert "A trouble with (hidden)\n" in capsys.readouterr().err


def test_an_error_contains_no_key() -> None:
    error = ConfigError(f"bad `{SECRET}'", key=SECRET, line=4)
    assert not pieces(f"{error} {error!r} {error.reason} {error.key}")
    assert str(HollowayError(f"no `{SECRET}'")) == "no `(hidden)'"


@pytest.mark.parametrize(
    "text",
    [
        "/etc/wireguard/configurations/of/the/whole/organisation/wg0",
        "sixtyfourcharacters.of.a.name.that.is.no.key.at.all.example.internal:51820",
        "2001:0db8:0000:0000:0000:0000:0000:0001/128,fd00:0000:0000:0000:0000:0000:0000:0001",
        "Line unrecognized: `PostUpp=iptables-AFORWARD-i%i-jACCEPT'",
        "iptables -A FORWARD -i %i -j ACCEPT; iptables -t nat -A POSTROUTING -j MASQUERADE",
        "iptables-tnat-APOSTROUTING-oeth0-jMASQUERADE",
        "WG_QUICK_USERSPACE_IMPLEMENTATION: holloway-device",
        "550e8400-e29b-41d4-a716-446655440000",
        "the PersistentKeepalive of vpn-gateway-01.eu-west-1.example.com",
        "Key is not the correct length or format: `notakey'",
    ],
)
def test_text_without_a_key_is_unchanged(text: str) -> None:
    assert without_keys(text) == text


class _Device:
    def state(self) -> State:
        raise AssertionError

    def uapi_discards(self) -> bytes:
        raise AssertionError

    def apply(self, update: object) -> None:
        raise AssertionError(update)


class _Client(asyncio.Transport):
    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not pieces(bytes(data).decode())

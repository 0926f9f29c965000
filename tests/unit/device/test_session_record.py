"""The record of sessions: what is written is read again, and nothing else is."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from holloway import _native
from holloway.core.constants import REJECT_AFTER_TIME, Nanoseconds
from holloway.device.privileged import record_path
from holloway.device.session_record import Session, dump, load, parse_untrusted
from holloway.key import Key

NOW = Nanoseconds(10**12)
ENDS_AT = Nanoseconds(NOW + REJECT_AFTER_TIME)
KEY = bytes(range(32))
LINE = dump([Session(KEY, "192.0.2.1", 51820, ENDS_AT)])


def test_what_is_written_is_read_again() -> None:
    sessions = [
        Session(KEY, "192.0.2.1", 51820, ENDS_AT),
        Session(KEY[::-1], "fe80::1%lo", 1, Nanoseconds(NOW + 1)),
    ]
    assert parse_untrusted(dump(sessions), NOW) == {
        KEY: _native.Endpoint("192.0.2.1", 51820),
        KEY[::-1]: _native.Endpoint("fe80::1%lo", 1),
    }


def test_a_session_that_is_over_or_lives_too_long_is_left_out() -> None:
    for ends_at in (0, NOW, ENDS_AT + 1):
        line = dump([Session(KEY, "192.0.2.1", 51820, Nanoseconds(ends_at))])
        assert parse_untrusted(line, NOW) == {}


def test_a_line_that_is_none_costs_no_other() -> None:
    key = Key(KEY).base64
    for line in (
        "",
        "\0",
        "a b c d",
        f"{key} host 51820 {ENDS_AT}",
        f"{key} 192.0.2.1 0 {ENDS_AT}",
        f"{key} 192.0.2.1 65536 {ENDS_AT}",
        f"{key} fe80::1%no-such 1 {ENDS_AT}",
        f"{key[1:]} 192.0.2.1 51820 {ENDS_AT}",
        f"{key} 192.0.2.1 51820",
        f"{key} 192.0.2.1 51820 {ENDS_AT} 5",
    ):
        text = line.encode() + b"\n" + LINE
        assert list(parse_untrusted(text, NOW)) == [KEY], line


@given(st.binary(max_size=300))
def test_any_bytes_are_read_without_an_error(text: bytes) -> None:
    assert parse_untrusted(text, NOW) == {}
    parse_untrusted(LINE[: len(text)] + text, NOW)


def test_without_a_file_nothing_is_remembered(tmp_path: Path) -> None:
    assert load(str(tmp_path / "wg0.sessions"), NOW) == {}


def test_the_record_is_beside_the_socket() -> None:
    path = record_path("/run/wireguard/wg0.100.sock")
    assert path == "/run/wireguard/wg0.100.sessions"

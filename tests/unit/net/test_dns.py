"""DNS queries and answers, byte by byte."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holloway.errors import BadMessage
from holloway.net.dns import AAAA, A, Answer, encode_query, parse_answer_untrusted

ASKED = encode_query(0x1234, "nas.home", A)
NAME = b"\x03nas\x04home\x00"


def record(owner: bytes, kind: int, data: bytes) -> bytes:
    return owner + struct.pack(">HHIH", kind, 1, 60, len(data)) + data


def answer(
    *records: bytes, flags: int = 0x8180, number: int = 0x1234, query: bytes = ASKED
) -> bytes:
    return (
        struct.pack(">HHHHHH", number, flags, 1, len(records), 0, 0)
        + query[12:]
        + b"".join(records)
    )


def test_a_query_has_the_bytes_of_the_standard() -> None:
    assert struct.pack(">HHHHHH", 0x1234, 0x0100, 1, 0, 0, 0) + NAME + b"\0\1\0\1" == ASKED
    assert encode_query(1, "nas.home.", AAAA)[12:] == NAME + b"\0\x1c\0\1"
    assert encode_query(1, "bücher.example", A)[12:].startswith(b"\x0dxn--bcher-kva\x07example\0")


@pytest.mark.parametrize("name", ["", ".", "a..b", "x" * 64, ".".join(["x" * 60] * 5)])
def test_an_invalid_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        encode_query(1, name, A)


def test_addresses_of_a_compressed_name_are_read() -> None:
    message = answer(record(b"\xc0\x0c", A, bytes([10, 0, 0, 1])), record(NAME, A, bytes(4)))
    assert parse_answer_untrusted(message, ASKED) == Answer(("10.0.0.1", "0.0.0.0"), 0, False)


def test_a_chain_of_pointers_that_no_name_needs_is_refused() -> None:
    """Else each of 4,000 records of an answer could cost 8,000 steps."""
    start = len(answer()) + 12  # after the header of the first record, whose owner is a pointer
    pointers = [0x0C, *range(start, start + 400, 2)]
    chain = b"".join((0xC000 | at).to_bytes(2, "big") for at in pointers)
    long = record(b"\xc0\x0c", 16, chain)
    for jumps, fits in ((100, True), (200, False)):
        owner = (0xC000 | pointers[jumps]).to_bytes(2, "big")
        message = answer(long, record(owner, A, bytes(4)))
        if fits:
            assert parse_answer_untrusted(message, ASKED).addresses == ("0.0.0.0",)
        else:
            with pytest.raises(BadMessage):
                parse_answer_untrusted(message, ASKED)


def test_the_case_of_letters_does_not_matter() -> None:
    message = answer(record(NAME.upper().replace(b"\4", b"\4"), A, bytes(4)))
    assert parse_answer_untrusted(message, ASKED).addresses == ("0.0.0.0",)


def test_aliases_are_followed_and_other_records_ignored() -> None:
    message = answer(
        record(NAME, 5, b"\x01b\xc0\x10"),
        record(b"\x01b\xc0\x10", 5, b"\x01c\xc0\x10"),
        record(b"\x01c\xc0\x10", A, bytes([10, 0, 0, 3])),
        record(b"\x01d\xc0\x10", A, bytes([10, 0, 0, 4])),
    )
    assert parse_answer_untrusted(message, ASKED).addresses == ("10.0.0.3",)


def test_a_cycle_of_aliases_has_no_addresses() -> None:
    message = answer(record(NAME, 5, b"\x01b\xc0\x10"), record(b"\x01b\xc0\x10", 5, b"\xc0\x0c"))
    assert parse_answer_untrusted(message, ASKED).addresses == ()


def test_an_error_code_and_a_truncation_are_returned() -> None:
    assert parse_answer_untrusted(answer(flags=0x8183), ASKED) == Answer((), 3, False)
    cut = answer(flags=0x8380) + b"half a rec"
    assert parse_answer_untrusted(cut, ASKED) == Answer((), 0, True)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        answer(number=0x1235),
        answer(flags=0x0100),
        answer(query=encode_query(0x1234, "nas.work", A)),
        answer(record(b"\xc0\x0c", A, bytes(4)))[:-1],
        answer(record(b"\xc0\x0c", A, bytes(3))),
        answer(record(b"\xc0\xff", A, bytes(4))),
        answer(record(b"\xc0\x1a", A, bytes(4))),
        answer(record(b"\x80", A, bytes(4))),
    ],
)
def test_an_invalid_answer_is_refused(message: bytes) -> None:
    with pytest.raises(BadMessage):
        parse_answer_untrusted(message, ASKED)


@given(st.binary(max_size=600), st.integers(0, 600), st.integers(0, 255))
def test_any_bytes_are_an_answer_or_raise_bad_message(tail: bytes, place: int, value: int) -> None:
    """Random records, and a valid answer with one byte changed."""
    good = bytearray(
        answer(record(NAME, 5, b"\x01b\xc0\x10"), record(b"\x01b\xc0\x10", A, bytes(4)))
    )
    good[place % len(good)] = value
    for message in (answer() + tail, answer(b"", b"", b"") + tail, bytes(good), tail):
        try:
            found = parse_answer_untrusted(message, ASKED)
        except BadMessage:
            continue
        assert all(address.count(".") == 3 for address in found.addresses)

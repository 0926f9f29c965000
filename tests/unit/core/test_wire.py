from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holloway.core.wire import (
    INITIATION_LENGTH,
    RESPONSE_LENGTH,
    Initiation,
    Response,
    parse_handshake_untrusted,
)
from holloway.errors import BadMessage

INDICES = st.integers(0, 2**32 - 1)


def exactly(length: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=length, max_size=length)


@given(st.builds(Initiation, INDICES, exactly(32), exactly(48), exactly(28)))
def test_an_initiation_is_read_as_it_was_written(message: Initiation) -> None:
    assert len(message.build()) == INITIATION_LENGTH == 116
    assert parse_handshake_untrusted(message.build()) == message


@given(st.builds(Response, INDICES, INDICES, exactly(32), exactly(16)))
def test_a_response_is_read_as_it_was_written(message: Response) -> None:
    assert len(message.build()) == RESPONSE_LENGTH == 60
    assert parse_handshake_untrusted(message.build()) == message


@given(st.one_of(st.binary(max_size=200), exactly(INITIATION_LENGTH), exactly(RESPONSE_LENGTH)))
def test_any_bytes_are_a_message_or_raise_bad_message(garbage: bytes) -> None:
    try:
        message = parse_handshake_untrusted(garbage)
    except BadMessage:
        return
    assert message.build() == garbage


@pytest.mark.parametrize("length", [*range(4), 59, 60, 61, 115, 116, 117, 148, 92, 65_507])
def test_wrong_lengths_types_and_reserved_bytes_are_refused(length: int) -> None:
    for first in (0, 1, 2, 3, 4, 255):
        right = {1: INITIATION_LENGTH, 2: RESPONSE_LENGTH}.get(first)
        message = bytearray(length)
        message[:1] = bytes([first])[:length]
        if right != length:
            with pytest.raises(BadMessage):
                parse_handshake_untrusted(bytes(message))
            continue
        parse_handshake_untrusted(bytes(message))
        message[2] = 1
        with pytest.raises(BadMessage):
            parse_handshake_untrusted(bytes(message))

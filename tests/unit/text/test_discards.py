"""Counts of discarded packets: written by a device, read by `wg`."""

from __future__ import annotations

import pytest

from holloway.key import Key
from holloway.text.discards import Discards, dump_answer, parse_answer, pretty, to_json
from holloway.text.show import Style

PEER = Key(bytes([5]) * 32)


def test_an_answer_is_read_as_it_was_written_without_zeros() -> None:
    written = Discards({"forged": 0, "bad_mac1": 2}, {PEER: {"expired": 18446744073709551615}})
    read = parse_answer(dump_answer(written) + b"errno=0\n\n")
    assert read == Discards({"bad_mac1": 2}, {PEER: {"expired": 18446744073709551615}})


@pytest.mark.parametrize("answer", [b"forged=x\n", b"forged\n", b"public_key=5\n", b"\xff=1\n"])
def test_an_invalid_answer_is_a_protocol_error(answer: bytes) -> None:
    with pytest.raises(OSError, match="Protocol error"):
        parse_answer(answer)


def test_a_reason_of_a_newer_device_is_shown_too() -> None:
    shown = pretty("wg0", Discards({"bored": 1}), Style(), {})
    assert shown == "interface: wg0\n  bored: 1 (see the documentation of the device)\n"


def test_json_has_the_names_of_peers() -> None:
    text = to_json([("wg0", Discards({}, {PEER: {"forged": 1}}), {PEER: "Alice"})])
    assert '"name": "Alice"' in text

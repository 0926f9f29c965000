"""Encodes DNS queries and parses answers (RFC 1035, RFC 3596). Pure.

Parses only what a stub resolver needs: the addresses of a name, and the aliases that lead to them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

from holloway.errors import BadMessage


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: addresses, or the response code that says why there are none."""

    addresses: tuple[str, ...]
    code: int
    truncated: bool


class _Record(NamedTuple):
    owner: bytes
    kind: int
    offset: int
    data: bytes


def encode_query(number: int, name: str, kind: int) -> bytes:
    """Encode a query for the records of `kind`; raises ValueError for an invalid name."""
    return (
        HEADER.pack(number, RECURSION_DESIRED, 1, 0, 0, 0)
        + _encode_name(name)
        + QUESTION_TAIL.pack(kind, IN)
    )


def parse_answer_untrusted(message: bytes, query: bytes) -> Answer:
    """Parse the answer to `query`; raises BadMessage if it is none."""
    try:
        return _parse(message, query)
    except (struct.error, IndexError, ValueError):
        raise BadMessage("not an answer") from None


def _parse(message: bytes, query: bytes) -> Answer:
    number, flags, questions, answers, _, _ = HEADER.unpack_from(message)
    end = len(query)
    repeated = message[HEADER.size : end].lower() == query[HEADER.size :].lower()
    if number != int.from_bytes(query[:2], "big") or not flags & RESPONSE or questions != 1:
        raise BadMessage("not an answer to this question")
    if not repeated:
        raise BadMessage("an answer to another question")
    truncated = bool(flags & TRUNCATED)
    name, offset = _name(message, HEADER.size)
    kind, _ = QUESTION_TAIL.unpack_from(message, offset)
    records: list[_Record] = []
    while len(records) < answers and not truncated:
        record, end = _record(message, end)
        records.append(record)
    return Answer(tuple(_addresses(message, records, name, kind)), flags & CODE, truncated)


def _addresses(message: bytes, records: list[_Record], name: bytes, kind: int) -> list[str]:
    aliases = {
        record.owner: _name(message, record.offset)[0] for record in records if record.kind == CNAME
    }
    seen = {name}
    while (alias := aliases.get(name)) is not None and alias not in seen:
        name = alias
        seen.add(name)
    found = [record.data for record in records if (record.owner, record.kind) == (name, kind)]
    return [str(IPv4Address(data) if kind == A else IPv6Address(data)) for data in found]


def _record(message: bytes, offset: int) -> tuple[_Record, int]:
    owner, offset = _name(message, offset)
    kind, _, _, length = RECORD_HEADER.unpack_from(message, offset)
    offset += RECORD_HEADER.size
    end = offset + length
    if end > len(message):
        raise BadMessage("a record goes beyond the message")
    return _Record(owner, kind, offset, message[offset:end]), end


def _name(message: bytes, offset: int) -> tuple[bytes, int]:
    """Return the name at an offset, in lower case, and the offset after it."""
    labels: list[bytes] = []
    after = pointers = 0
    while length := message[offset]:
        if length >= POINTER:
            pointers += 1
            if pointers > MAX_LABELS:
                raise BadMessage("a name of more pointers than labels")
            target = ((length & ~POINTER) << 8) | message[offset + 1]
            after = after or offset + 2
            # Pointers go backwards only, so that following them ends.
            if target >= offset:
                raise BadMessage("a name points forwards")
            offset = target
            continue
        if length > MAX_LABEL or len(labels) >= MAX_LABELS:
            raise BadMessage("not a name")
        labels.append(message[offset + 1 : offset + 1 + length].lower())
        offset += 1 + length
    return b".".join(labels), after or offset + 1


def _encode_name(name: str) -> bytes:
    text = name if name.isascii() else name.encode("idna").decode("ascii")
    labels = text.removesuffix(".").encode("ascii").split(b".")
    if not all(0 < len(label) <= MAX_LABEL for label in labels):
        raise ValueError(f"not a name: {name!r}")
    encoded = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    if len(encoded) > MAX_NAME:
        raise ValueError(f"too long for a name: {name!r}")
    return encoded


A: Final = 1
AAAA: Final = 28
CNAME: Final = 5
NO_ERROR: Final = 0
NAME_ERROR: Final = 3
HEADER: Final = struct.Struct(">HHHHHH")
QUESTION_TAIL: Final = struct.Struct(">HH")
RECORD_HEADER: Final = struct.Struct(">HHIH")
RECURSION_DESIRED: Final = 0x0100
RESPONSE: Final = 0x8000
TRUNCATED: Final = 0x0200
CODE: Final = 0x000F
IN: Final = 1
POINTER: Final = 0xC0
MAX_LABEL: Final = 63
MAX_LABELS: Final = 127
MAX_NAME: Final = 255

"""The headers of the PROXY protocol, byte for byte as HAProxy's specification has them."""

from __future__ import annotations

import pytest

from holloway.proxy.proxy_protocol import header

V4 = ("192.168.0.1", 56324), ("192.168.0.11", 443)
V6 = ("fd07::2%wg0", 56324), ("fd07::1", 443)
SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")


@pytest.mark.parametrize(
    ("version", "addresses", "expected"),
    [
        # Section 2.1 has the first one.
        (1, V4, b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"),
        (1, V6, b"PROXY TCP6 fd07::2 fd07::1 56324 443\r\n"),
        (2, V4, SIGNATURE + bytes.fromhex("21 11 000c c0a80001 c0a8000b dc04 01bb")),
        (
            2,
            V6,
            SIGNATURE
            + bytes.fromhex("21 21 0024")
            + bytes.fromhex("fd07 0000 0000 0000 0000 0000 0000 0002")
            + bytes.fromhex("fd07 0000 0000 0000 0000 0000 0000 0001")
            + bytes.fromhex("dc04 01bb"),
        ),
    ],
)
def test_a_header_names_both_ends(
    version: int, addresses: tuple[tuple[str, int], tuple[str, int]], expected: bytes
) -> None:
    assert header(version, *addresses) == expected  # type: ignore[arg-type]

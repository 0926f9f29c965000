"""Values that are refused before the first step, and how the error names their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from holloway.errors import ConfigError
from holloway.quick.check import check
from holloway.quick.source import Source
from holloway.text.quick import parse_quick


def refused(text: str) -> tuple[int | None, str | None, str] | None:
    """Return the line, key and reason of the error, or None if the text is accepted."""
    source = Source(Path("/etc/wireguard/wg0.conf"), "wg0", text, parse_quick(text))
    try:
        check(source, {"vpn": 77})
    except ConfigError as error:
        return error.line, error.key, error.reason
    return None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[Interface]",
        "[Interface]\nAddress = 10.0.0.1, 10.0.0.2/31, 10.0.0.3/255.255.255.0, fd00::1/127",
        "[Interface]\nMTU = 68\n[Peer]\nMTU = 5",
        "[Interface]\nTable = vpn",
        "[Interface]\nTable = 4294967295",
        "[Interface]\nTable = off\n[Peer]\nAllowedIPs = 0.0.0.0/0, ::/0",
        "[Interface]\nTable = vpn\n[Peer]\nAllowedIPs = 0.0.0.0/0",
        "[Peer]\nAllowedIPs = 10.0.0.0/10",
    ],
)
def test_valid_values_are_accepted(text: str):
    assert refused(text) is None


@pytest.mark.parametrize(
    ("text", "line", "key", "value"),
    [
        ("[Interface]\nAddress = 10.0.0.1/24\n\nAddress=10.0.0.2/33", 4, "Address", "10.0.0.2/33"),
        ("[Interface]\nAddress = 10.0.0.1,fe80::1%eth0/64", 2, "Address", "fe80::1%eth0/64"),
        ("[Interface]\nAddress = 10.0.0", 2, "Address", "10.0.0"),
        ("[Interface]\nAddress = 10.0.0.1/-1", 2, "Address", "10.0.0.1/-1"),
        ("[Interface]\nAddress = fd00::1/129", 2, "Address", "fd00::1/129"),
        ("[Interface]\nMTU = 67", 2, "MTU", "67"),
        ("[Interface]\nMTU = 65536 # large", 2, "MTU", "65536"),
        ("[Interface]\n# Table = no\ntable = no", 3, "Table", "no"),
    ],
)
def test_an_invalid_value_is_named_by_line_and_key(text: str, line: int, key: str, value: str):
    found = refused(text)
    assert found is not None
    assert found[:2] == (line, key)
    assert f"`{value}'" in found[2]

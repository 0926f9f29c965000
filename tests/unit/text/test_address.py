"""Texts that are addresses, and texts that are names."""

from __future__ import annotations

import pytest

from holloway.text.address import numeric


@pytest.mark.parametrize("text", ["10.0.0.1", "0.0.0.0", "::", "fd00::1", "fe80::1%eth0"])
def test_addresses(text: str) -> None:
    assert str(numeric(text)) == text


@pytest.mark.parametrize("text", ["", "home", "10.0.0", "10.0.0.300", "::g", "10.0.0.1/24", "1"])
def test_names(text: str) -> None:
    assert numeric(text) is None

"""Every file and test that the threat model names exists."""

from __future__ import annotations

import re

import pytest

from hosts import REPOSITORY

PAGE = (REPOSITORY / "docs/explanation/threat-model.md").read_text()
NAMED = sorted(set(re.findall(r"`((?:tests|crates|fuzz|scripts)/[\w/.-]+)(?:::(\w+))?`", PAGE)))


@pytest.mark.parametrize(("path", "test"), NAMED)
def test_it_exists(path: str, test: str) -> None:
    if not test:
        assert (REPOSITORY / path).exists()
        return
    text = (REPOSITORY / path).read_text()
    assert re.search(rf"\b(def|fn) {test}\(", text)

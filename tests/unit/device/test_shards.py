from __future__ import annotations

import pytest

from holloway.device import shards


@pytest.mark.parametrize(
    ("processors", "expected"), [(1, 1), (2, 1), (3, 1), (4, 3), (8, 7), (16, 15), (64, 16)]
)
def test_a_processor_is_left_to_the_brain(processors: int, expected: int) -> None:
    assert shards.by_default(processors) == expected


@pytest.mark.parametrize("text", ["1", "4", "64"])
def test_the_environment_decides(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(shards.VARIABLE, text)
    assert shards.limit() == int(text)


@pytest.mark.parametrize("text", ["0", "65", "-1", "+2", " 2", "two", "1e1", "٣"])
def test_a_wrong_number_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(shards.VARIABLE, text)
    with pytest.raises(ValueError, match="HOLLOWAY_SHARDS must be a number from 1 to 64, not"):
        shards.limit()


def test_an_empty_value_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(shards.VARIABLE, "")
    assert shards.limit() >= 1

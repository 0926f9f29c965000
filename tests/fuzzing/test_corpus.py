"""The stored corpus, and changes of it, through every target.

Inputs that once broke a property stay in the corpus, so that they are tested for ever.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing.targets import TARGETS

CORPUS = Path(__file__).with_name("corpus")


def stored(target: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]


def changed(bases: list[bytes]) -> st.SearchStrategy[bytes]:
    """Two of the corpus, cut and joined, with some bytes changed."""
    base = st.sampled_from(bases)
    places = st.lists(st.tuples(st.integers(0, 2**16), st.binary(max_size=4)), max_size=4)

    def change(first: bytes, second: bytes, at: float, edits: list[tuple[int, bytes]]) -> bytes:
        data = first[: int(len(first) * at)] + second[int(len(second) * at) :]
        for place, edit in edits:
            start = place % (len(data) + 1)
            data = data[:start] + edit + data[start + len(edit) // 2 :]
        return data

    return st.builds(change, base, base, st.floats(0, 1), places)


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_holds(target: str) -> None:
    corpus = stored(target)
    assert corpus
    for data in corpus:
        TARGETS[target](data)


def test_every_part_of_the_corpus_has_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)


@pytest.mark.parametrize("target", TARGETS)
@given(data=st.data())
def test_changes_of_the_corpus_hold(target: str, data: st.DataObject) -> None:
    TARGETS[target](data.draw(st.binary(max_size=300) | changed(stored(target))))

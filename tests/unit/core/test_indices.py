from __future__ import annotations

from collections.abc import Callable

from holloway.core.constants import Nanoseconds
from holloway.core.indices import Indices


def drawing(*numbers: int) -> Callable[[int], bytes]:
    draws = iter(numbers)
    return lambda length: next(draws).to_bytes(length, "little")


def test_an_awaited_index_is_not_allocated_again() -> None:
    indices: Indices[str] = Indices(drawing(7, 7, 8))
    first = indices.allocate(Nanoseconds(0))
    indices.expect(first, "peer")
    assert indices.allocate(Nanoseconds(0)) == 8
    assert indices.awaiting(7) == "peer"


def test_a_held_index_is_not_allocated_before_its_session_is_dead() -> None:
    indices: Indices[str] = Indices(drawing(7, 7, 9, 7))
    indices.hold(indices.allocate(Nanoseconds(0)), Nanoseconds(180))
    assert indices.allocate(Nanoseconds(179)) == 9
    assert indices.allocate(Nanoseconds(180)) == 7


def test_a_released_index_has_no_owner() -> None:
    indices: Indices[str] = Indices(drawing(7))
    indices.expect(7, "peer")
    indices.release(7)
    indices.release(7)
    assert indices.awaiting(7) is None

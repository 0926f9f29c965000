from __future__ import annotations

from collections.abc import Callable

from holloway.core.indices import Indices


def drawing(*numbers: int) -> Callable[[int], bytes]:
    draws = iter(numbers)
    return lambda length: next(draws).to_bytes(length, "little")


def unchanged(index: int) -> int:
    return index


def indices(*numbers: int, used: tuple[int, ...] = ()) -> Indices[str]:
    return Indices(drawing(*numbers), lambda index: index in used)


def test_an_awaited_index_is_not_allocated_again() -> None:
    made = indices(7, 7, 8)
    first = made.allocate(unchanged)
    made.expect(first, "peer")
    assert made.allocate(unchanged) == 8
    assert made.awaiting(7) == "peer"


def test_an_index_that_the_plane_uses_is_not_allocated() -> None:
    assert indices(7, 9, used=(7,)).allocate(unchanged) == 9


def test_a_released_index_has_no_owner() -> None:
    made = indices(7)
    made.expect(7, "peer")
    made.release(7)
    made.release(7)
    assert made.awaiting(7) is None


def test_an_index_that_is_in_use_once_it_is_steered_is_not_allocated() -> None:
    def even(index: int) -> int:
        return index & ~1

    assert indices(7, 9, used=(6,)).allocate(even) == 8

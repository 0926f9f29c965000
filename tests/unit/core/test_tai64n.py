from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from holloway.core.constants import SECOND
from holloway.core.tai64n import STEP, advance, encode, whiten

TIMES = st.integers(0, 2**62)


def test_1970_is_ten_seconds_after_the_tai64_label_of_1970() -> None:
    assert encode(0).hex() == "400000000000000a00000000"


def test_nanoseconds_are_rounded_down_to_the_kernels_steps() -> None:
    assert encode(whiten(1_700_000_000 * SECOND + 999_999_999)).hex() == "400000006553f10a3b000000"


@given(TIMES, TIMES)
def test_timestamps_compare_like_their_times(first: int, second: int) -> None:
    first, second = whiten(first), whiten(second)
    assert (encode(first) < encode(second)) == (first < second)


@given(TIMES)
def test_whitening_leaves_only_steps_within_a_second(wall: int) -> None:
    assert 0 <= wall - whiten(wall) < STEP
    assert whiten(wall) % SECOND % STEP == 0


@given(TIMES, TIMES)
def test_timestamps_increase_even_if_the_wall_clock_does_not(wall: int, last: int) -> None:
    last = whiten(last)
    following = advance(wall, last)
    assert following > last
    assert whiten(following) == following
    if whiten(wall) > last:
        assert following == whiten(wall)
    else:
        assert following - last <= STEP

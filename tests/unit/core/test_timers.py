from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from holloway.core.constants import Nanoseconds
from holloway.core.timers import Timer, Timers

OWNERS = st.sampled_from("abc")
TIMES = st.integers(0, 50).map(Nanoseconds)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), OWNERS, st.sampled_from(Timer), TIMES),
        st.tuples(st.just("cancel"), OWNERS, st.sampled_from(Timer), TIMES),
        st.tuples(st.just("forget"), OWNERS, st.sampled_from(Timer), TIMES),
        st.tuples(st.just("expire"), OWNERS, st.sampled_from(Timer), TIMES),
    ),
    max_size=200,
)


@given(OPERATIONS)
def test_timers_behave_like_a_dictionary_of_deadlines(
    operations: list[tuple[str, str, Timer, Nanoseconds]],
) -> None:
    timers: Timers[str] = Timers()
    model: dict[tuple[str, Timer], Nanoseconds] = {}
    for what, owner, timer, time in operations:
        match what:
            case "set":
                timers.set(owner, timer, time)
                model[owner, timer] = time
            case "cancel":
                timers.cancel(owner, timer)
                model.pop((owner, timer), None)
            case "forget":
                timers.forget(owner)
                model = {key: at for key, at in model.items() if key[0] != owner}
            case "expire":
                due = {key for key, at in model.items() if at <= time}
                expired = [(model[key], key) for key in timers.expired(time)]
                assert [at for at, _ in expired] == sorted(at for at, _ in expired)
                assert {key for _, key in expired} == due
                assert len(expired) == len(due)
                model = {key: at for key, at in model.items() if key not in due}
        assert timers.next_timeout() == min(model.values(), default=None)
        assert timers.deadline(owner, timer) == model.get((owner, timer))


def test_a_deadline_cancelled_by_an_earlier_one_does_not_expire() -> None:
    timers: Timers[str] = Timers()
    timers.set("a", Timer.LOOK, Nanoseconds(1))
    timers.set("a", Timer.ERASE, Nanoseconds(2))
    expired = []
    for owner, timer in timers.expired(Nanoseconds(5)):
        expired.append(timer)
        timers.cancel(owner, Timer.ERASE)
    assert expired == [Timer.LOOK]


def test_a_deadline_moved_many_times_does_not_grow_the_heap() -> None:
    timers: Timers[str] = Timers()
    for step in range(100_000, 0, -1):
        timers.set("a", Timer.LOOK, Nanoseconds(step))
    assert timers.next_timeout() == 1
    assert len(vars(timers)["_heap"]) < 100

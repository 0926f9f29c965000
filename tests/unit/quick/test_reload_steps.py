"""The steps of a reload: as few as possible, in an order in which nothing leaks."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface, ip_network
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holloway.model import Device, DeviceUpdate
from holloway.netlink.route import TABLE_MAIN, Route, Rule
from holloway.quick import default_route, reload_steps
from holloway.quick.address_steps import address_changes
from holloway.quick.facts import Facts
from holloway.quick.saved_state import SavedSettings, SavedState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holloway.netlink.route import Interface
    from holloway.quick.steps import Step

ADDRESSES = [
    ip_interface(text)
    for text in ("10.1.0.1/24", "10.1.0.2/24", "10.1.0.3/16", "10.2.0.1/32", "fd00::1/64")
]
RULES = [rule for v in (4, 6) for rule in reversed(default_route.rules_for(v, 51820))]
TAKEN = SavedState(mark=51820, chosen_mark=51820, defaults=(4, 6))


def lines(steps: Sequence[Step]) -> list[str]:
    return [line for step in steps for line in step.text.split("\n")]


@given(
    have=st.lists(st.sampled_from(ADDRESSES), unique=True),
    want=st.lists(st.sampled_from(ADDRESSES), unique=True),
)
def test_changed_addresses_end_up_as_wanted_and_in_order(
    have: list[Interface], want: list[Interface]
):
    gone, added = address_changes(have, want)
    for version in (4, 6):
        left = [each for each in [*have, *added] if each not in gone or each in added]
        result = [each for each in have if each not in gone] + list(added)
        assert len(result) <= len(left)
        assert [e for e in result if e.version == version] == [
            e for e in want if e.version == version
        ]


def test_addresses_that_stay_in_order_are_not_touched():
    assert address_changes(ADDRESSES[:2], [ADDRESSES[0], ADDRESSES[3]]) == (
        (ADDRESSES[1],),
        (ADDRESSES[3],),
    )


def test_an_address_whose_primary_is_deleted_is_added_again():
    assert address_changes(ADDRESSES[:2], ADDRESSES[1:2]) == (tuple(ADDRESSES[:2]), (ADDRESSES[1],))


def test_routes_are_added_before_others_are_deleted_and_printed_with_tables():
    old, new = Route(ip_network("10.1.0.0/16"), 7), Route(ip_network("10.2.0.0/16"))
    kept = Route(ip_network("10.3.0.0/16"))
    steps = reload_steps.routes("wg0", [old, kept], [kept, new], ("7", None))
    assert lines(steps) == [
        "ip -4 route add 10.2.0.0/16 dev wg0",
        "ip -4 route delete 10.1.0.0/16 dev wg0 table 7",
    ]


@pytest.mark.parametrize(
    ("mark", "named", "before", "needed", "expected"),
    [
        (51820, None, TAKEN, True, 51820),  # `wg syncconf` would turn it off
        (51820, None, TAKEN, False, 0),
        (51820, 0, TAKEN, True, 51820),
        (51820, 7, TAKEN, True, 7),
        (7, None, SavedState(settings=SavedSettings(fwmark=True)), True, 0),
        (7, None, SavedState(), False, 7),  # set by a hook
        (9, None, TAKEN, False, 9),  # changed by hand since then
        (7, 0, SavedState(), True, 0),
    ],
)
def test_the_mark_after_a_reload(
    mark: int, named: int | None, before: SavedState, needed: bool, expected: int
):
    found = reload_steps.mark(
        Device("wg0", fwmark=mark), DeviceUpdate(fwmark=named), before, needed=needed
    )
    assert found == expected


def defaults(mark: int, versions: Sequence[int], before: SavedState = TAKEN) -> list[str]:
    then = Facts(addresses=(ADDRESSES[0],), free_table=51821)
    device = Device("wg0", fwmark=before.mark)
    return lines(
        reload_steps.DefaultRoutes(device, before, then, then, RULES).steps(mark, versions)
    )


def test_default_routes_that_stay_are_not_touched():
    assert defaults(51820, [6, 4]) == []


def test_a_default_route_is_removed_route_first_and_mark_last():
    assert defaults(0, []) == [
        "ip -4 route delete 0.0.0.0/0 dev wg0 table 51820",
        "ip -4 rule delete table main suppress_prefixlength 0",
        "ip -4 rule delete table 51820",
        "nft -f /dev/fd/63",
        "ip -6 route delete ::/0 dev wg0 table 51820",
        "ip -6 rule delete table main suppress_prefixlength 0",
        "ip -6 rule delete table 51820",
        "nft -f /dev/fd/63",
        "wg set wg0 fwmark off",
    ]


def test_a_new_mark_is_set_before_its_rules_and_old_rules_are_deleted_after():
    found = defaults(7, [4], replace(TAKEN, defaults=(4,)))
    assert found[0] == "wg set wg0 fwmark 7"
    assert found.index("ip -4 rule add not fwmark 7 table 7") < found.index(
        "ip -4 rule delete table 51820"
    )
    assert found.count("nft -f /dev/fd/63") == 1  # loaded again, not removed


def test_a_changed_address_is_protected():
    now = Facts(addresses=(ADDRESSES[1],))
    then = Facts(addresses=(ADDRESSES[0],))
    device = Device("wg0", fwmark=51820)
    steps = reload_steps.DefaultRoutes(device, TAKEN, then, now, RULES).steps(51820, [4, 6])
    assert lines(steps) == ["nft -f /dev/fd/63"]


def test_the_rules_of_another_interface_stay_in_their_order():
    guards = [Rule(4, TABLE_MAIN, suppress_default=True, priority=place) for place in (1, 3)]
    marked = [Rule(4, 51821, 51821, priority=2), Rule(4, 51820, 51820, priority=4)]
    present = [guards[0], marked[0], guards[1], marked[1]]
    for mark, own in ((51820, [4, 3]), (51821, [2, 1])):
        gone = [step.rule.priority for step in default_route.remove(mark, [4], present)]
        assert gone == own


def test_rules_that_are_not_there_are_not_deleted():
    assert default_route.remove(51820, [4, 6], [Rule(4, TABLE_MAIN, suppress_default=True)]) == []


def test_changed_hooks_and_a_removed_key_cause_warnings():
    before = SavedState(
        hooks={"PreUp": "a", "PostUp": "b"}, settings=SavedSettings(private_key=True)
    )
    now = SavedState(hooks={"PreUp": "x", "PostUp": "y"})
    assert len(reload_steps.warnings("wg0", before, now)) == 2
    assert reload_steps.warnings("wg0", now, now) == []
    assert reload_steps.warnings("wg0", SavedState(), now) == []

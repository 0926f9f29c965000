"""pytest-xdist and pytest agree on the groups of tests that `conftest` sets."""

from __future__ import annotations

import pytest


def test_the_scheduler_sees_the_group_of_a_test(
    request: pytest.FixtureRequest, worker_id: str
) -> None:
    if worker_id == "master":
        pytest.skip("only with several workers")
    assert request.node.nodeid.endswith("@tests/unit/test_groups.py")

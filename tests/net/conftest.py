"""Which stacks the tests of networks run with."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["kernel", "userspace"])
def stack(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture
def wg_stack(stack: str) -> str:
    """The fixtures of the plugin run with both stacks."""
    return stack

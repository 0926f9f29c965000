"""Which stacks the tests of proxies run with."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["kernel", "userspace"])
def stack(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen

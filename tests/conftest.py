"""What all tests share: hypothesis profiles, and what a missing right means.

A test that needs root is skipped without it on a developer's machine and fails under CI, so that
a green run there means that it ran.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

settings.register_profile("default", deadline=None, max_examples=60)
settings.register_profile("ci", deadline=None, max_examples=60, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=2000)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "default")
)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("root") is None or os.geteuid() == 0:
        return
    if os.environ.get("CI"):
        pytest.fail("this test needs root, and under CI it must run", pytrace=False)
    pytest.skip("needs root: it makes network namespaces and TUN devices")

"""Our device recovers when its machine was asleep and when its wall clock was set."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from guest.mishaps import YEAR, Devices

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guest.machine import Machine

pytestmark = [pytest.mark.root, pytest.mark.guest]

ASLEEP_SECONDS = 190
"""Longer than a session lives (paper, 6.1)."""


@pytest.fixture
def devices(machine: Machine) -> Iterator[Devices]:
    devices = Devices(machine, ["holloway"])
    yield devices
    devices.close()


@pytest.mark.skipif(
    os.environ.get("HYPOTHESIS_PROFILE") != "thorough",
    reason="the machine sleeps for three minutes: make thorough",
)
@pytest.mark.timeout(600)
def test_after_a_suspension_longer_than_a_session_lives(devices: Devices) -> None:
    assert devices.suspend(ASLEEP_SECONDS)["holloway"] is not None


@pytest.mark.timeout(600)
def test_when_the_wall_clock_is_set_back_a_year_and_forward_again(devices: Devices) -> None:
    """The far side has lost its session and waits, so a new one begins by the other clock."""
    for seconds in (-YEAR, YEAR):
        assert devices.set_wall(seconds)["holloway"] is not None

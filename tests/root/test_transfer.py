"""A slice of `make transfer`: hundreds of megabytes both ways at once, unchanged and in order."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from transfer import transfer
from tunnel import Tunnel

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.spread]

MEGABYTES = 250
"""Each way."""


@pytest.mark.parametrize("version", [4, 6])
def test_what_goes_both_ways_arrives_unchanged_and_never_out_of_order(version: int) -> None:
    with ExitStack() as stack:
        outcome = transfer(Tunnel("holloway", stack), MEGABYTES, version)
    assert outcome.unchanged
    assert set(outcome.reordered.values()) == {0}

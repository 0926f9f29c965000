"""Ends of tunnels, made new for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holloway._native import Endpoint
from native.ends import End, Pair
from native.far import Far

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pair() -> Iterator[Pair]:
    with Pair() as pair:
        yield pair


@pytest.fixture
def near() -> Iterator[End]:
    end = End(1)
    yield end
    end.close()


@pytest.fixture
def far(near: End) -> Iterator[Far]:
    with Far(near.port) as far:
        near.peer.set_endpoint(Endpoint("127.0.0.1", far.port))
        yield far

"""A key of low order, which the published vectors list, gives no secret.

The tests of the crates compare X25519 with the vectors of RFC 7748 and of Wycheproof.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from holloway.core.noise import Identity

VECTORS = json.loads((Path(__file__).parent / "primitives.json").read_text())


@pytest.mark.parametrize("point", VECTORS["x25519"]["low_order"])
def test_a_point_of_low_order_gives_no_secret(point: str) -> None:
    identity = Identity(bytes(range(32)))
    assert identity.static_static(bytes.fromhex(point)) is None

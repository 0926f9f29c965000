"""Which peer has an inner address, asked of a plane: the table that packets are routed by."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from native.ends import allow, allowed_ips

if TYPE_CHECKING:
    from native.ends import End

pytestmark = pytest.mark.root


def test_the_longest_prefix_decides_whose_an_address_is(near: End) -> None:
    everything, some = near.plane.peer(bytes([7]) * 32), near.plane.peer(bytes([6]) * 32)
    for network in ("0.0.0.0/0", "fd77:1::/32"):
        allow(everything, network)
    for network in ("10.77.0.0/16", "fd77:1::2/128"):
        allow(some, network)

    def owner(address: str) -> int | None:
        return near.plane.lookup_allowed_ip(ip_address(address).packed)

    assert owner("192.0.2.1") == everything.id
    assert owner("10.77.1.1") == some.id
    assert owner("10.77.0.2") == near.peer.id
    assert owner("fd77:1::1") == everything.id
    assert owner("fd77:1::2") == some.id
    assert owner("fd78::1") is None
    some.change_allowed_ips(allowed_ips(removed=("10.77.0.0/16",)))
    assert owner("10.77.1.1") == everything.id


@pytest.mark.parametrize("packed", [b"", b"\x0a\x4d\x00", bytes(15), bytes(17)])
def test_what_is_no_address_is_refused(near: End, packed: bytes) -> None:
    with pytest.raises(ValueError, match="not an address"):
        near.plane.lookup_allowed_ip(packed)

"""Security: a preshared key, on both sides or on neither."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from guide.page import built_lab, ping_replies, shown_peers, typed, up
from holloway.lab.topologies import PEER_TO_SITE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holloway.lab import Lab

pytestmark = pytest.mark.root

ROUTER, LAPTOP = (tunnel.config for tunnel in PEER_TO_SITE.tunnels)
BOTH = ("router:wg0", "laptop:home0")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with built_lab(PEER_TO_SITE) as lab:
        yield lab


@pytest.fixture(scope="module")
def preshared(lab: Lab) -> str:
    return typed(lab, "router", "wg genpsk").stdout.strip()


# The page itself writes the key's name in two ways.
@pytest.mark.parametrize("name", ["PresharedKey", "PreSharedKey"])
def test_a_key_on_both_sides_works_and_is_not_shown(lab: Lab, preshared: str, name: str):
    lab.configure("router", ROUTER + f"PresharedKey = {preshared}\n")
    lab.configure("laptop", LAPTOP + f"{name} = {preshared}\n")
    with up(lab, *BOTH):
        assert ping_replies(lab, "laptop", "10.10.10.230") == 2
        for host in ("router", "laptop"):
            shown = typed(lab, host, "wg show").stdout
            assert "  preshared key: (hidden)\n" in shown
            assert preshared not in shown


@pytest.mark.parametrize("side", ["router", "laptop"])
def test_a_key_on_one_side_only_makes_no_session(lab: Lab, preshared: str, side: str):
    line = f"PresharedKey = {preshared}\n"
    lab.configure("router", ROUTER + line * (side == "router"))
    lab.configure("laptop", LAPTOP + line * (side == "laptop"))
    with up(lab, *BOTH):
        assert ping_replies(lab, "laptop", "10.10.10.230", wait=1) == 0
        assert "latest handshake" not in shown_peers(lab, "laptop")[0]


def test_two_different_keys_make_no_session(lab: Lab, preshared: str):
    other = typed(lab, "laptop", "wg genpsk").stdout
    lab.configure("router", ROUTER + f"PresharedKey = {preshared}\n")
    lab.configure("laptop", LAPTOP + f"PresharedKey = {other}")
    with up(lab, *BOTH):
        assert ping_replies(lab, "laptop", "10.10.10.230", wait=1) == 0

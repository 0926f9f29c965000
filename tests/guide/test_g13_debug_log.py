"""Troubleshooting, the kernel's debug log: ours is switched for one device while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from guide.page import built_lab, log_of, ping_replies, typed, up
from holloway.lab.topologies import PEER_TO_SITE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holloway.lab import Lab

pytestmark = pytest.mark.root


@pytest.fixture
def lab() -> Iterator[Lab]:
    with built_lab(PEER_TO_SITE) as lab:
        yield lab


def test_a_handshake_is_told_in_the_kernels_words_once_switched_on(lab: Lab):
    with up(lab, "router:wg0", "laptop:home0"), log_of(lab, "laptop", "home0") as followed:
        assert typed(lab, "laptop", "holloway log home0").stdout == "verbose\n"
        assert ping_replies(lab, "laptop", "10.10.10.230") == 2
        assert followed.stdout is not None
        said = ""
        while "created for peer" not in said:
            said += (line := followed.stdout.readline())
            assert line, said
        typed(lab, "laptop", "holloway log home0 error")
        assert typed(lab, "laptop", "holloway log home0").stdout == "error\n"
    assert "Sending handshake initiation to peer 1 (198.51.100.2:51000)" in said
    assert "Receiving handshake response from peer 1 (198.51.100.2:51000)" in said

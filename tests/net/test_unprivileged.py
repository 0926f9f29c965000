"""The tests of networks again, as an unprivileged user without other groups."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from net.unprivileged import run_tests_unprivileged, unprivileged_host

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holloway.lab import Host

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with unprivileged_host() as host:
        yield host


FILES = [
    "test_network.py",
    "test_cancelling.py",
    "test_helper_process.py",
    "test_blocking.py",
    "test_resolve.py",
    "test_libraries.py",
    "test_conformance.py",
    "test_conformance_udp.py",
    "test_conformance_asyncio.py",
]


@pytest.mark.timeout(600)
def test_networks_need_no_rights(host: Host) -> None:
    run_tests_unprivileged(host, *map(Path(__file__).with_name, FILES), timeout=580)

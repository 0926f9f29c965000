"""The tests of networks again, as a user that has no rights and no other groups."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from holloway.lab import Host
from hosts import REPOSITORY
from net.nobody import as_nobody, open_the_way

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with Host("nobody") as host:
        open_the_way(host)
        yield host


@pytest.mark.parametrize(
    "name",
    [
        "test_network.py",
        "test_cancelling.py",
        "test_helper_process.py",
        "test_blocking.py",
        "test_resolve.py",
        "test_libraries.py",
    ],
)
def test_networks_need_no_rights(host: Host, name: str) -> None:
    done = host.run(
        *as_nobody(
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
            "--rootdir", str(REPOSITORY), "-c", str(REPOSITORY / "pyproject.toml"),
            str(Path(__file__).with_name(name)),
        ),
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout

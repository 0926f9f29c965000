"""One guest for all tests here, and a WireGuard interface of its kernel, made new for each."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from guest.image import kernels
from guest.machine import Machine
from guest.side_by_side import SideBySide

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="package")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Boot the guest: HOLLOWAY_GUEST_KERNEL, or one that has the WireGuard module."""
    found = [Path(named)] if (named := os.environ.get("HOLLOWAY_GUEST_KERNEL")) else kernels()
    if not found or shutil.which("qemu-system-x86_64") is None or shutil.which("dpkg") is None:
        missing = "needs qemu-system-x86_64, dpkg and a kernel with WireGuard: make guest"
        if os.environ.get("CI"):
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    with Machine(found[0], tmp_path_factory.mktemp("guest")) as booted:
        yield booted


@pytest.fixture
def pair(machine: Machine) -> Iterator[SideBySide]:
    """Two interfaces of the kernel: wg0 is ours to change, wg1 the original's."""
    machine.must("sh", "-c", "for name in wg0 wg1; do ip link add $name type wireguard; done")
    yield SideBySide(machine)
    machine.run("sh", "-c", "for name in wg0 wg1; do ip link delete $name; done")

"""`wg show INTERFACE dump`: the codec turns the device's answer into lines."""

from __future__ import annotations

from holloway.cli.wg.report import fail, print_bytes, reason
from holloway.control import find


def dump(interface: str) -> int:
    """Print a device for programs; returns the exit status."""
    try:
        printed = find(interface).dump()
    except OSError as problem:
        return fail(f"Unable to access interface: {reason(problem)}")
    print_bytes(printed)
    return 0

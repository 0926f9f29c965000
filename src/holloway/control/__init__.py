"""One interface to every WireGuard device on this machine, whoever runs it.

`names` lists them, `find` gives the `Control` of one. What speaks to a device is loaded only when
a device needs it, so that `wg` starts quickly.
"""

from __future__ import annotations

from typing import Protocol

from holloway.control import uapi
from holloway.model import Device, DeviceUpdate

__all__ = ["Control", "find", "names"]


class Control(Protocol):
    """Asks and changes one device; what it refuses is an `OSError` with the device's errno."""

    def get(self) -> Device:
        """Return the device as it is now."""

    def set(self, update: DeviceUpdate) -> None:
        """Check all of `update`, then apply it; nothing is applied by halves."""


def names() -> list[str]:
    """The devices of this machine: the kernel's, then those with a UAPI socket."""
    from holloway.control import kernel

    return kernel.names() + uapi.names()


def find(name: str) -> Control:
    """The device called `name`: by its UAPI socket if one answers, else in the kernel."""
    if uapi.answers(name):
        return uapi.Socket(name)
    from holloway.control import kernel

    return kernel.Link(name)

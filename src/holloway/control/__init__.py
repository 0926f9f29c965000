"""One interface to every WireGuard device on this machine, whatever runs it.

`names` lists them, `find` returns the `Control` of one. The client for a kind of device is loaded
only when such a device is used, so that `wg` starts quickly.
"""

from __future__ import annotations

from holloway.control import uapi

TYPE_CHECKING = False  # without `typing`, which takes 6 ms to load
if TYPE_CHECKING:
    from holloway.control.contract import BulkControl, Control

    __all__ = ["BulkControl", "Control", "find", "names"]


def names() -> list[str]:
    """List the devices of this machine: the kernel's, then those with a UAPI socket."""
    from holloway.control import kernel

    return kernel.names() + uapi.names()


def find(name: str) -> BulkControl:
    """Find the device called `name`: by its UAPI socket if one answers, else in the kernel."""
    if uapi.answers(name):
        return uapi.UapiDevice(name)
    from holloway.control import kernel

    return kernel.KernelDevice(name)

"""One interface to every WireGuard device on this machine, whoever runs it.

`names` lists them, `find` gives the `Control` of one. What speaks to a device is loaded only when
a device needs it, so that `wg` starts quickly.
"""

from __future__ import annotations

from holloway.control import uapi

TYPE_CHECKING = False  # without `typing`, which takes 6 ms to load
if TYPE_CHECKING:
    from holloway.control.contract import BulkControl, Control

    __all__ = ["Control", "Found", "find", "names"]


def names() -> list[str]:
    """The devices of this machine: the kernel's, then those with a UAPI socket."""
    from holloway.control import kernel

    return kernel.names() + uapi.names()


def find(name: str) -> BulkControl:
    """The device called `name`: by its UAPI socket if one answers, else in the kernel."""
    if uapi.answers(name):
        return uapi.UapiDevice(name)
    from holloway.control import kernel

    return kernel.KernelDevice(name)

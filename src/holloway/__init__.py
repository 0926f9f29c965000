"""WireGuard, whole, in Python: the device, `wg`, `wg-quick`, and a peer inside a program.

Public names only. Everything that shows a device is a `Device`; everything that changes one
is a `DeviceUpdate`. `Network` is loaded when it is asked for: `wg` has no use for it.
"""

from typing import TYPE_CHECKING

from holloway.errors import BadMessage, ConfigError, HollowayError, KeyFormatError
from holloway.key import Key
from holloway.model import (
    AllowedIP,
    Device,
    DeviceUpdate,
    Endpoint,
    Peer,
    PeerUpdate,
)

if TYPE_CHECKING:
    from holloway.net.network import Network

__version__ = "0.1.0"

__all__ = [
    "AllowedIP",
    "BadMessage",
    "ConfigError",
    "Device",
    "DeviceUpdate",
    "Endpoint",
    "HollowayError",
    "Key",
    "KeyFormatError",
    "Network",
    "Peer",
    "PeerUpdate",
]


def __getattr__(name: str) -> object:
    """Load late what needs asyncio, the extension and `cryptography`."""
    if name in _LATE:
        from importlib import import_module

        return getattr(import_module(_LATE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


_LATE = {"Network": "holloway.net.network"}

"""WireGuard, whole, in Python: the device, `wg` and `wg-quick`.

Public names only. Everything that shows a device is a `Device`; everything that changes one
is a `DeviceUpdate`.
"""

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
    "Peer",
    "PeerUpdate",
]

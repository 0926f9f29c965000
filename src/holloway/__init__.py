"""WireGuard, whole, in Python: the device, `wg`, `wg-quick`, and a peer inside a program.

This module has only the public names. Everything that shows a device is a `Device`; everything that
changes one is a `DeviceUpdate`. Each name is loaded on first use, because `wg` needs none of them.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
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
    from holloway.net.blocking import open  # noqa: A004  # it is `holloway.open`
    from holloway.net.loop import run
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
    "open",
    "run",
]


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in __all__:
        for home in ("errors", "key", "model", "net.network", "net.blocking", "net.loop"):
            module = import_module(f"holloway.{home}")
            if name in vars(module):
                return vars(module)[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""WireGuard, whole, in Python: the device, `wg`, `wg-quick`, and a peer inside a program.

A peer inside a program needs no root. In a plain script:

    import holloway

    with holloway.open("laptop.conf") as net:
        with net.connect("nas.home", 80, timeout=5) as sock:
            sock.sendall(b"hello")

In asyncio:

    async with holloway.Network("laptop.conf") as net:
        reader, writer = await net.open_connection("nas.home", 80)

Without a file:

    holloway.open(
        private_key=holloway.Key.generate(),
        addresses="10.0.0.2/24",
        peers=[{
            "public_key": "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=",
            "endpoint": "vpn.example.com:51820",
            "allowed_ips": "10.0.0.0/24",
        }],
    )

`net.device` is a `Device`: what `wg show` prints. `net.set` takes a `DeviceUpdate`: everything that
changes a device is one.
"""

# Each name is loaded on first use, because `wg` needs none of them.

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
    from holloway.net.blocking import (
        BlockingNetwork,
        open,  # noqa: A004  # it is `holloway.open`
    )
    from holloway.net.errors import NoNamespace
    from holloway.net.keywords import PeerArguments
    from holloway.net.loop import run
    from holloway.net.network import Network

__version__ = "0.1.0"

__all__ = [
    "AllowedIP",
    "BadMessage",
    "BlockingNetwork",
    "ConfigError",
    "Device",
    "DeviceUpdate",
    "Endpoint",
    "HollowayError",
    "Key",
    "KeyFormatError",
    "Network",
    "NoNamespace",
    "Peer",
    "PeerArguments",
    "PeerUpdate",
    "open",
    "run",
]

_HOMES = {
    "errors": ("BadMessage", "ConfigError", "HollowayError", "KeyFormatError"),
    "key": ("Key",),
    "model": ("AllowedIP", "Device", "DeviceUpdate", "Endpoint", "Peer", "PeerUpdate"),
    "net.keywords": ("PeerArguments",),
    "net.blocking": ("BlockingNetwork", "open"),
    "net.errors": ("NoNamespace",),
    "net.loop": ("run",),
    "net.network": ("Network",),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            from importlib import import_module

            return getattr(import_module(f"holloway.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__} - {"TYPE_CHECKING", "_HOMES"})

"""A device with thousands of peers: the time to set and to show its configuration."""

from __future__ import annotations

import os
import time
from base64 import b64encode
from typing import TYPE_CHECKING

from tunnel import IMPLEMENTATIONS, device_memory, start_implementation

from holloway.lab import Host
from hosts import WG

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tunnel import Tunnel

PATH = "/run/wg0.conf"


def configuration(peers: int) -> list[str]:
    """Return the sections of a configuration file: the interface, then each peer."""
    sections = [f"[Interface]\nPrivateKey = {key()}\nListenPort = 51820\n"]
    for number in range(peers):
        high, low = divmod(number, 256)
        sections.append(
            f"[Peer]\nPublicKey = {key()}\nEndpoint = 192.0.2.{low}:{1000 + high}\n"
            f"AllowedIPs = 10.{high}.{low}.0/24, fd00:{number:x}::/64\n"
        )
    return sections


def key() -> str:
    return b64encode(os.urandom(32)).decode()


def milliseconds(host: Host, *command: str, environment: Mapping[str, str] | None = None) -> float:
    """Run a command and return the time in milliseconds, including its start."""
    started = time.perf_counter()
    host.run(*command, environment=environment)
    return (time.perf_counter() - started) * 1000


def many_peers(peers: int) -> Callable[[Tunnel, int], dict[str, float]]:
    """Measure a separate device with the original `wg`; the interface is up as in real use."""

    def measure(tunnel: Tunnel, seconds: int) -> dict[str, float]:
        del seconds
        with Host("many") as host:
            start_implementation(host, IMPLEMENTATIONS[tunnel.device])
            host.write(PATH, "".join(configuration(peers)))
            taken = milliseconds(host, WG["original"], "setconf", "wg0", PATH)
            host.run("ip", "link", "set", "wg0", "up")
            shown = milliseconds(host, WG["original"], "show", "wg0", "dump")
            return {"setconf ms": taken, "dump ms": shown, "MiB": device_memory(host)}

    return measure

"""Sockets in the network namespaces of other processes. For programs of one thread."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holloway.lab import Host

CLONE_NEWNET = 0x40000000  # linux/sched.h


def enter_network(path: str) -> None:
    """Move this thread into a network namespace (os.setns exists from Python 3.12 on)."""
    with Path(path).open("rb") as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


def network_of(host: Host, name: str = "") -> str:
    """Return the path of a host's network namespace, or of one that `ip netns add` made there."""
    return f"/proc/{host.pid}/root/run/netns/{name}" if name else f"/proc/{host.pid}/ns/net"

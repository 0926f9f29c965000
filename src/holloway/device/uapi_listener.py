"""The listening UAPI socket of a device, claimed at its start.

Imports next to nothing, because the monitor is forked right after it. `cli.device` calls it.
"""

from __future__ import annotations

import _socket
import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

SOCKET_DIRECTORY: Final = "/var/run/wireguard"


def claim(name: str) -> _socket.socket:
    """Listen on an interface's socket, which only its owner may open.

    A socket that nobody serves is replaced. Raises OSError (EADDRINUSE) if somebody does.
    """
    os.makedirs(SOCKET_DIRECTORY, mode=0o755, exist_ok=True)
    path = socket_path(name)
    if os.path.exists(path):
        _remove_stale(path)
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    umask = os.umask(0o077)
    try:
        listener.bind(path)
    finally:
        os.umask(umask)
    listener.listen()
    return listener


def socket_path(name: str) -> str:
    """Return the path where wg(8) looks for an interface."""
    return f"{SOCKET_DIRECTORY}/{name}.sock"


def _remove_stale(path: str) -> None:
    probe = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        probe.connect(path)
    except ConnectionRefusedError:
        if os.path.exists(path):
            os.unlink(path)
        return
    finally:
        probe.close()
    raise OSError(errno.EADDRINUSE, "unix socket in use", path)

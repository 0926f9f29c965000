"""The listening UAPI socket of a device: claimed at its start, and watched for its removal.

Imports next to nothing, because the monitor is forked right after it. `cli.device` calls it.
"""

from __future__ import annotations

import _socket
import ctypes
import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

SOCKET_DIRECTORY: Final = "/var/run/wireguard"
IN_ATTRIB: Final = 0x4  # linux/inotify.h; an unlink changes the link count
IN_DELETE_SELF: Final = 0x400


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


class UapiSocket:
    """A listening socket, and the watch of its file; raises OSError if that is gone."""

    def __init__(self, listener: _socket.socket) -> None:
        self.path: str = listener.getsockname()
        self.listener = listener
        self.watch = SocketWatch(self.path)

    def close(self) -> None:
        self.listener.close()
        self.watch.close()


class SocketWatch:
    """Detects that the socket's file is gone; `fileno` is readable when it may be."""

    def __init__(self, path: str) -> None:
        # The device may not look into the directory once it has dropped its privileges.
        self._file = os.open(path, os.O_PATH | os.O_CLOEXEC)
        library = ctypes.CDLL(None, use_errno=True)
        self._inotify = library.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        watch = library.inotify_add_watch(
            self._inotify, os.fsencode(path), IN_ATTRIB | IN_DELETE_SELF
        )
        if self._inotify < 0 or watch < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)

    def fileno(self) -> int:
        return int(self._inotify)

    def removed(self) -> bool:
        """Drain the events and return whether the file is gone."""
        os.read(self._inotify, 65536)
        return os.fstat(self._file).st_nlink == 0

    def close(self) -> None:
        os.close(self._inotify)
        os.close(self._file)

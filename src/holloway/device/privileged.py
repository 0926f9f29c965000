"""What a running device needs root's rights for: five calls, none of which takes a path or a name.

`PrivilegedCalls` makes them in the process where it is. That is the monitor's, if the device is
confined; `monitor` passes the calls to it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from holloway.device import link
from holloway.device.link_sockets import open_link_sockets
from holloway.device.session_record import record_path
from holloway.netlink import listen_port

if TYPE_CHECKING:
    from holloway import _native
    from holloway.device.link_sockets import LinkSockets

PRIVATE: Final = 0o600


class Privileged(Protocol):
    """The calls, made here or by the monitor."""

    def link_sockets(self) -> LinkSockets:
        """Open sockets in the network namespace where the interface is; raises OSError."""

    def port_holder(self, port: int) -> str | None:
        """Name the interface or process that has a UDP port; None where that cannot be seen."""

    def new_record(self) -> int:
        """Open an empty file that is to become the record of sessions; raises OSError."""

    def keep_record(self) -> None:
        """Put that file in its place, or if it is empty, remove the record; raises OSError."""

    def end(self) -> None:
        """Remove the UAPI socket."""


class PrivilegedCalls:
    """The calls for one interface and one UAPI socket, which exists."""

    def __init__(self, tun: _native.Tun, socket_path: str) -> None:
        self._tun = tun
        self._socket_path = socket_path
        self._socket_file = _identity(socket_path)
        self._record = record_path(socket_path)
        self._new_record = self._record.with_suffix(".new")
        self._entered_before = False

    def link_sockets(self) -> LinkSockets:
        return open_link_sockets(self._tun.fileno(), self._namespace_entered)

    def port_holder(self, port: int) -> str | None:
        return listen_port.holder(port)

    def new_record(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._new_record.unlink(missing_ok=True)
        return os.open(self._new_record, flags, PRIVATE)

    def keep_record(self) -> None:
        if self._new_record.stat().st_size:
            self._new_record.replace(self._record)
        else:
            self._new_record.unlink()
            self._record.unlink(missing_ok=True)

    def end(self) -> None:
        # Another device may have bound the same path meanwhile.
        if self._socket_file is not None and _identity(self._socket_path) == self._socket_file:
            with suppress(OSError):
                os.unlink(self._socket_path)

    def _namespace_entered(self) -> None:
        """Set the interface up again: a move to another namespace loses its settings."""
        if self._entered_before:
            link.configure_tun(self._tun.name)
        self._entered_before = True


def _identity(path: str) -> tuple[int, int] | None:
    """Return what tells a file from others that had or will have the same path."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino

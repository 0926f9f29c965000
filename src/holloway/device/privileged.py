"""What a running device needs root's rights for: five calls, none of which takes a path or a name.

`PrivilegedCalls` makes them in the process where it is. That is the monitor's, if the device is
confined; `monitor` passes the calls to it. What only some calls need is loaded by them.
"""

from __future__ import annotations

import os

from holloway.device.link_sockets import open_link_sockets
from holloway.device.tun_settings import configure_tun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, Protocol

    from holloway import _native
    from holloway.device.link_sockets import LinkSockets

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


PRIVATE: Final = 0o600


class PrivilegedCalls:
    """The calls for one interface and one UAPI socket, which exists."""

    def __init__(self, tun: _native.Tun, socket_path: str) -> None:
        self._tun = tun
        self._socket_path = socket_path
        self._socket_file = _identity(socket_path)
        self._record = record_path(socket_path)
        self._new_record = f"{self._record}.new"
        self._entered_before = False

    def link_sockets(self) -> LinkSockets:
        return open_link_sockets(self._tun.fileno(), self._namespace_entered)

    def port_holder(self, port: int) -> str | None:
        from holloway.netlink import listen_port

        return listen_port.holder(port)

    def new_record(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        _remove(self._new_record)
        return os.open(self._new_record, flags, PRIVATE)

    def keep_record(self) -> None:
        if os.stat(self._new_record).st_size:
            os.replace(self._new_record, self._record)
        else:
            os.unlink(self._new_record)
            _remove(self._record)

    def end(self) -> None:
        # Another device may have bound the same path meanwhile.
        if self._socket_file is not None and _identity(self._socket_path) == self._socket_file:
            try:  # noqa: SIM105  # contextlib would stay loaded
                os.unlink(self._socket_path)
            except OSError:
                pass

    def _namespace_entered(self) -> None:
        """Set the interface up again: a move to another namespace loses its settings."""
        if self._entered_before:
            configure_tun(self._tun.name)
        self._entered_before = True


def record_path(socket_path: str) -> str:
    """Return the path of the record of sessions that goes with a UAPI socket."""
    return f"{os.path.splitext(socket_path)[0]}.sessions"


def _remove(path: str) -> None:
    """Remove a file if there is one."""
    try:  # noqa: SIM105  # contextlib would stay loaded
        os.unlink(path)
    except FileNotFoundError:
        pass


def _identity(path: str) -> tuple[int, int] | None:
    """Return what tells a file from others that had or will have the same path."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino

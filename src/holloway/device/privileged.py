"""What a running device needs root's rights for: three calls, none of which takes a path or a name.

`PrivilegedCalls` makes them in the process where it is. That is the monitor's, if the device is
confined; `monitor` passes the calls to it. What only some calls need is loaded by them.
"""

from __future__ import annotations

import os

from holloway.device.link_sockets import open_link_sockets
from holloway.device.tun_settings import configure_tun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from holloway import _native
    from holloway.device.link_sockets import LinkSockets

    class Privileged(Protocol):
        """The calls, made here or by the monitor."""

        def link_sockets(self) -> LinkSockets:
            """Open sockets in the network namespace where the interface is; raises OSError."""

        def port_holder(self, port: int) -> str | None:
            """Name the interface or process that has a UDP port; None where that cannot be seen."""

        def end(self) -> None:
            """Remove the UAPI socket."""


class PrivilegedCalls:
    """The calls for one interface and one UAPI socket, which exists."""

    def __init__(self, tun: _native.Tun, socket_path: str) -> None:
        self._tun = tun
        self._socket_path = socket_path
        self._socket_file = _identity(socket_path)
        self._entered_before = False

    def link_sockets(self) -> LinkSockets:
        return open_link_sockets(self._tun.fileno(), self._namespace_entered)

    def port_holder(self, port: int) -> str | None:
        from holloway.netlink import listen_port

        return listen_port.holder(port)

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


def _identity(path: str) -> tuple[int, int] | None:
    """Return what tells a file from others that had or will have the same path."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino

"""The TUN interface as the kernel sees it.

`LinkWatch` reports up, down, MTU and name and keeps the segmentation limit, also after the
interface was moved into another network namespace. It knows nothing of peers or packets; `daemon`
calls it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from holloway.device.gso import gso_max_size
from holloway.netlink import rtnetlink
from holloway.netlink.attributes import messages, u32
from holloway.netlink.socket import Watch

SIOCGIFFLAGS: Final = 0x8913
SIOCGIFMTU: Final = 0x8921
SIOCGIFINDEX: Final = 0x8933
TUNGETIFF: Final = 0x800454D2  # linux/if_tun.h


@dataclass(frozen=True, slots=True)
class LinkState:
    """An interface as it was read."""

    name: str
    up: bool
    mtu: int
    was_down: bool = False
    """Whether it was down for a moment since it was last read."""


class LinkWatch:
    """Follows one TUN by its file descriptor; `fileno` is readable when something changed.

    The netlink socket is of the interface's namespace and serves the ioctls too. Any message means
    that the interface is read again; only that it was down for a moment is known from a message
    alone. `open_watch` opens the socket, at once and after every move of the interface. When the
    MTU changes, the interface's segmentation limit is set to `gso_max_size`. Raises OSError
    (EBADFD) once the interface is gone.
    """

    def __init__(self, tun: int, open_watch: Callable[[], Watch]) -> None:
        self._tun = tun
        self._open_watch = open_watch
        self._gso_mtu = 0
        self._netlink = open_watch()

    def fileno(self) -> int:
        return self._netlink.fileno()

    def close(self) -> None:
        self._netlink.close()

    def state(self) -> LinkState:
        """Take the messages, and read the interface's name, flags and MTU.

        After a move between namespaces `fileno` is another one.
        """
        changes = self._netlink.drain()
        try:
            return self._read(changes)
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
        self._netlink.close()
        self._netlink = self._open_watch()
        self._gso_mtu = 0
        return self._read([])

    def _read(self, changes: list[bytes]) -> LinkState:
        request = fcntl.ioctl(self._tun, TUNGETIFF, bytes(40))
        raw_name = request[:16]
        flags = fcntl.ioctl(self._netlink, SIOCGIFFLAGS, struct.pack("16sH22x", raw_name, 0))
        mtu, index = self._number(SIOCGIFMTU, raw_name), self._number(SIOCGIFINDEX, raw_name)
        if mtu != self._gso_mtu:
            self._set_gso_max_size(index, mtu)
        return LinkState(
            name=raw_name.rstrip(b"\0").decode(),
            up=bool(struct.unpack_from("H", flags, 16)[0] & rtnetlink.IFF_UP),
            mtu=mtu,
            was_down=any(
                kind == rtnetlink.RTM_NEWLINK and rtnetlink.is_down(payload, index)
                for datagram in changes
                for kind, _, _, payload in messages(datagram)
            ),
        )

    def _number(self, request: int, raw_name: bytes) -> int:
        """Return what one of the ioctls that fill in an int says."""
        answer = fcntl.ioctl(self._netlink, request, struct.pack("16si20x", raw_name, 0))
        number: int = struct.unpack_from("i", answer, 16)[0]
        return number

    def _set_gso_max_size(self, index: int, mtu: int) -> None:
        """Set the limit that goes with an MTU, without asking for an answer: none would help."""
        limit = u32(rtnetlink.IFLA_GSO_MAX_SIZE, gso_max_size(mtu))
        with contextlib.suppress(OSError):
            self._netlink.send(rtnetlink.RTM_SETLINK, rtnetlink.link(index, 0, 0, limit))
        self._gso_mtu = mtu

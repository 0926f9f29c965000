"""WireGuard devices of the kernel: they are listed; speaking netlink to them is not there yet.

A device that is not reachable is refused as wg(8) does on a kernel without WireGuard.
"""

from __future__ import annotations

import errno
import os
from typing import Final, NoReturn

from holloway.model import Device, DeviceUpdate

LINKS: Final = "/sys/class/net"


def names() -> list[str]:
    """The kernel's own WireGuard interfaces in this network namespace."""
    try:
        return sorted(filter(_is_wireguard, os.listdir(LINKS)))
    except OSError:
        return []  # no sysfs: no way to tell, and nothing to say about it


def _is_wireguard(name: str) -> bool:
    try:
        with open(f"{LINKS}/{name}/uevent", encoding="ascii") as uevent:
            return "DEVTYPE=wireguard\n" in uevent.read()
    except OSError:
        return False  # bonding_masters is a file; a link may just have gone


class Link:
    """A name without a UAPI socket."""

    def __init__(self, name: str) -> None:
        self.name = name

    def get(self) -> Device:
        """Refuse: EPROTONOSUPPORT."""
        self._refuse()

    def set(self, update: DeviceUpdate) -> None:
        """Refuse: EPROTONOSUPPORT."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        # What wg(8) gets where the generic netlink family "wireguard" is not registered.
        raise OSError(errno.EPROTONOSUPPORT, os.strerror(errno.EPROTONOSUPPORT))

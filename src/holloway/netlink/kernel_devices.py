"""The kernel's WireGuard devices of this network namespace: their names, and each as it is.

`control.kernel` changes them; `listen_port` looks for the one that has a port.
"""

from __future__ import annotations

import errno
import os

from holloway.netlink.rtnetlink import RTM_GETLINK, LinkMessage, link
from holloway.netlink.socket import NETLINK_GENERIC, NETLINK_ROUTE, NetlinkSocket

TYPE_CHECKING = False  # without `typing`, which takes 6 ms to load
if TYPE_CHECKING:
    from typing import Final

    from holloway.model import Device

KIND: Final = "wireguard"


def names() -> list[str]:
    """List the kernel's WireGuard interfaces in this network namespace, in its order.

    By netlink and not from /sys, which may show another namespace's.
    """
    try:
        with NetlinkSocket(NETLINK_ROUTE) as kernel:
            links = map(LinkMessage, kernel.dump(RTM_GETLINK, link()))
            return [found.name for found in links if found.kind == KIND]
    except OSError:
        return []  # no netlink in this place, and so no way to know


def get(name: str) -> Device:
    """Return a device as it is; raises `OSError`."""
    from holloway.netlink.wireguard import get_request, parse_device

    with NetlinkSocket(NETLINK_GENERIC) as kernel:
        return parse_device(kernel.dump(wireguard_family(kernel), get_request(name)))


def wireguard_family(kernel: NetlinkSocket) -> int:
    """Look up the number of WireGuard's netlink family; raises `OSError`."""
    from holloway.netlink.wireguard import FAMILY

    try:
        return kernel.family(FAMILY)
    except FileNotFoundError:
        # What wg(8) says where the family is not registered.
        refusal = errno.EPROTONOSUPPORT
        raise OSError(refusal, os.strerror(refusal)) from None

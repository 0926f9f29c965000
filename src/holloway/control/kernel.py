"""WireGuard devices of the kernel, over netlink: listed, asked and changed.

What the kernel refuses is an `OSError` with its number, in the words of wg(8). What the messages
look like is `kernel_messages`' affair.
"""

from __future__ import annotations

import errno
import os
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from holloway.control import netlink
from holloway.key import KEY_LENGTH, Key
from holloway.model import AllowedIP, Device, DeviceUpdate, PeerUpdate

if TYPE_CHECKING:
    from holloway.text.native import State, Update

KIND: Final = b"wireguard\0"


def names() -> list[str]:
    """The kernel's own WireGuard interfaces in this network namespace, in its order.

    Asked of the kernel and not read in /sys, which may show another namespace's.
    """
    try:
        return [name for name in map(_wireguard_name, _links()) if name]
    except OSError:
        return []  # no netlink in this place: no way to tell, and nothing to say about it


class KernelDevice:
    """One interface of the kernel, or a name that is none: then every call is refused."""

    def __init__(self, name: str) -> None:
        self.name = name

    def get(self) -> Device:
        """Ask for the device; raises `OSError`."""
        from holloway.control.kernel_messages import get_request, parse_device

        while True:
            try:
                return parse_device(self._request([get_request(self.name)], netlink.DUMP))
            except InterruptedError:
                continue  # it changed while it was told: peers may be there twice, or not at all

    def state(self) -> State:
        """Like `get`, as the codec's value."""
        from holloway.text.convert import state_of

        return state_of(self.get())

    def dump(self) -> bytes:
        """Like `get`, printed as `wg show` does its dump."""
        return self.state().dump(b"")

    def apply(self, update: Update) -> None:
        """Like `set`, of the codec's value."""
        from holloway.text.convert import device_update_of

        self.set(device_update_of(update))

    def set(self, update: DeviceUpdate) -> None:
        """Change the device; raises `OSError`."""
        from holloway.control.kernel_messages import set_requests

        # All are written before the first is sent: a zone that is unknown changes nothing.
        requests = list(set_requests(self.name, update))
        if not any(peer.removed_allowed_ips for peer in update.peers):
            self._request(requests, netlink.ACKNOWLEDGE)
            return
        self.set(replace(update, peers=()))
        for peer in update.peers:
            if peer.removed_allowed_ips and not peer.remove:
                self._remove_allowed_ips(peer.public_key, peer.removed_allowed_ips)
            self.set(DeviceUpdate(peers=(replace(peer, removed_allowed_ips=()),)))

    def _remove_allowed_ips(self, public_key: Key, networks: tuple[AllowedIP, ...]) -> None:
        """Take networks away from a peer, by themselves: not every kernel can."""
        from holloway.control.kernel_messages import set_requests

        peer = PeerUpdate(public_key, update_only=True, removed_allowed_ips=networks)
        requests = list(set_requests(self.name, DeviceUpdate(peers=(peer,))))
        try:
            self._request(requests, netlink.ACKNOWLEDGE)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            # Linux before 6.16. It can move them to another peer, and remove that one; so the
            # networks that stay are never away. What is another's is not touched.
            owned = set(_networks(self.get(), public_key)).intersection(networks)
            other = Key(os.urandom(KEY_LENGTH))
            moved = PeerUpdate(other, allowed_ips=tuple(owned))
            self.set(DeviceUpdate(peers=(moved, PeerUpdate(other, remove=True))))

    def _request(self, requests: list[bytes], flags: int) -> list[bytes]:
        from holloway.control.kernel_messages import FAMILY

        with netlink.NetlinkSocket(netlink.GENERIC) as connection:
            try:
                family = connection.family(FAMILY)
            except FileNotFoundError:
                # What wg(8) says where the family is not registered.
                refusal = errno.EPROTONOSUPPORT
                raise OSError(refusal, os.strerror(refusal)) from None
            answers: list[bytes] = []
            for request in requests:
                answers += connection.request(family, request, flags)
        return answers


def _links() -> list[bytes]:
    while True:
        try:
            with netlink.NetlinkSocket(netlink.ROUTE) as connection:
                return connection.request(_GET_LINK, bytes(_LINK_LENGTH), netlink.DUMP)
        except InterruptedError:
            continue


def _wireguard_name(link: bytes) -> str | None:
    """The name in a message about a link; None if it is no WireGuard interface."""
    found = dict(netlink.attributes(link[_LINK_LENGTH:]))
    kind = dict(netlink.attributes(found.get(_LINK_INFO, b""))).get(_INFO_KIND)
    return os.fsdecode(found[_LINK_NAME].rstrip(b"\0")) if kind == KIND else None


def _networks(device: Device, public_key: Key) -> tuple[AllowedIP, ...]:
    return next((p.allowed_ips for p in device.peers if p.public_key == public_key), ())


_GET_LINK: Final = 18  # linux/rtnetlink.h, RTM_GETLINK
_LINK_LENGTH: Final = struct.calcsize("=BxHiII")  # struct ifinfomsg
_LINK_NAME: Final = 3  # linux/if_link.h, IFLA_IFNAME
_LINK_INFO: Final = 18  # IFLA_LINKINFO
_INFO_KIND: Final = 1  # IFLA_INFO_KIND

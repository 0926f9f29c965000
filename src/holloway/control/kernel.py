"""WireGuard devices of the kernel, over netlink: shown and changed.

What the kernel refuses is an `OSError` with its errno, in the words of wg(8). The messages are
`holloway.netlink`'s.
"""

from __future__ import annotations

import errno
import os

from holloway.netlink.kernel_devices import get, names, wireguard_family
from holloway.netlink.socket import NETLINK_GENERIC, NetlinkSocket

__all__ = ["KernelDevice", "names"]

TYPE_CHECKING = False  # without `typing`, which takes 6 ms to load
if TYPE_CHECKING:
    from collections.abc import Iterable

    from holloway.key import Key
    from holloway.model import AllowedIP, Device, DeviceUpdate
    from holloway.text.native import State, Update


class KernelDevice:
    """An interface of the kernel. Where `name` is none, every call is refused."""

    def __init__(self, name: str) -> None:
        self.name = name

    def get(self) -> Device:
        """Return the device as it is; raises `OSError`."""
        return get(self.name)

    def state(self) -> State:
        """Like `get`, as the codec's value."""
        from holloway.text.convert import state_of

        return state_of(self.get())

    def dump(self) -> bytes:
        """Like `get`, printed as `wg show INTERFACE dump` does."""
        return self.state().dump(b"")

    def apply(self, update: Update) -> None:
        """Like `set`, of the codec's value."""
        from holloway.text.convert import device_update_of

        self.set(device_update_of(update))

    def set(self, update: DeviceUpdate) -> None:
        """Change the device; raises `OSError`."""
        from dataclasses import replace

        from holloway.model import DeviceUpdate
        from holloway.netlink.wireguard import set_requests

        # All are written before the first is sent: an unknown zone then changes nothing.
        requests = list(set_requests(self.name, update))
        if not any(peer.removed_allowed_ips for peer in update.peers):
            self._send(requests)
            return
        self.set(replace(update, peers=()))
        for peer in update.peers:
            if peer.removed_allowed_ips and not peer.remove:
                self._remove_allowed_ips(peer.public_key, peer.removed_allowed_ips)
            self.set(DeviceUpdate(peers=(replace(peer, removed_allowed_ips=()),)))

    def _remove_allowed_ips(self, public_key: Key, networks: tuple[AllowedIP, ...]) -> None:
        """Remove networks from a peer in a change of their own: not every kernel can do it."""
        from holloway.key import KEY_LENGTH, Key
        from holloway.model import DeviceUpdate, PeerUpdate
        from holloway.netlink.wireguard import set_requests

        peer = PeerUpdate(public_key, update_only=True, removed_allowed_ips=networks)
        try:
            self._send(set_requests(self.name, DeviceUpdate(peers=(peer,))))
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            # Linux before 6.16. It can move them to another peer, and remove that one: so the
            # networks that stay are never away. Networks of other peers are not touched.
            owned = set(_networks(self.get(), public_key)).intersection(networks)
            other = Key(os.urandom(KEY_LENGTH))
            moved = PeerUpdate(other, allowed_ips=tuple(owned))
            self.set(DeviceUpdate(peers=(moved, PeerUpdate(other, remove=True))))

    def _send(self, requests: Iterable[bytes]) -> None:
        with NetlinkSocket(NETLINK_GENERIC) as kernel:
            family = wireguard_family(kernel)
            for request in requests:
                kernel.request(family, request)


def _networks(device: Device, public_key: Key) -> tuple[AllowedIP, ...]:
    return next((p.allowed_ips for p in device.peers if p.public_key == public_key), ())

"""Which peer has an inner address: the longest of the allowed IPs that match, as in the kernel.

A copy of what the plane knows, so that a connection that can go nowhere is refused at once and by
its name. Pure; `network` uses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

    from holloway.key import Key
    from holloway.model import Device


class Routes:
    """The allowed IPs of a device as they were when this was made."""

    def __init__(self, device: Device) -> None:
        networks: dict[int, dict[int, dict[int, Key]]] = {4: {}, 6: {}}
        for peer in device.peers:
            for allowed in peer.allowed_ips:
                bits = BITS[allowed.version]
                prefix = int.from_bytes(allowed.address, "big") >> (bits - allowed.cidr)
                of_length = networks[allowed.version].setdefault(allowed.cidr, {})
                of_length[prefix] = peer.public_key
        self._networks = {
            version: sorted(lengths.items(), reverse=True) for version, lengths in networks.items()
        }

    def find(self, address: IPv4Address | IPv6Address) -> Key | None:
        """The peer that an address belongs to."""
        number, bits = int(address), BITS[address.version]
        for length, prefixes in self._networks[address.version]:
            if (key := prefixes.get(number >> (bits - length))) is not None:
                return key
        return None


BITS: Final = {4: 32, 6: 128}

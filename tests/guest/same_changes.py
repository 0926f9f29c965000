"""Makes the same random changes to two devices and compares them: run in the guest.

`python same_changes.py KERNEL_INTERFACE DEVICE COUNT`: the first over netlink, the second over its
UAPI socket. Prints the number of changes after which both were the same, or ends with what differs.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from typing import TypeVar

from holloway.control.kernel import KernelDevice
from holloway.control.uapi import UapiDevice
from holloway.key import Key
from holloway.model import AllowedIP, Device, DeviceUpdate, Endpoint, PeerUpdate

Choice = TypeVar("Choice")
# Few of each, so that changes meet: one private key is a peer's own, networks hold one another.
PRIVATE = [Key(bytes([number]) * 32).clamped() for number in range(1, 4)]
PUBLIC = [*(key.public() for key in PRIVATE[:2]), *(Key(bytes([n]) * 32) for n in range(60, 64))]
NETWORKS = list(map(AllowedIP.parse, (
    "0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/9", "10.1.2.3/32", "::/0", "fd00::/8", "fd00::1/128",
)))  # fmt: skip
ENDPOINTS = [Endpoint("192.0.2.1", 7), Endpoint("192.0.2.2", 65535), Endpoint("2001:db8::1", 9)]


def main(kernel: str, device: str, count: int) -> None:
    """Change both and compare, again and again."""
    source, ends = random.Random(7), (KernelDevice(kernel), UapiDevice(device))
    for number in range(count):
        update = change(source)
        refusals = [refusal(end, update) for end in ends]
        facts = [what_is(end.get()) for end in ends]
        if refusals[0] != refusals[1] or facts[0] != facts[1]:
            sys.exit(f"{number}: {update}\nkernel: {refusals[0]} {facts[0]}\n"
                     f"ours: {refusals[1]} {facts[1]}")  # fmt: skip
    print(count)


def refusal(end: KernelDevice | UapiDevice, update: DeviceUpdate) -> int | None:
    """The error's number, None if the change was made."""
    try:
        end.set(update)
    except OSError as error:
        return error.errno
    return None


def what_is(device: Device) -> object:
    """What can be set, in the device's order of peers."""
    return (
        device.private_key and device.private_key.hex, device.fwmark,
        [(peer.public_key.hex, peer.preshared_key and peer.preshared_key.hex, str(peer.endpoint),
          sorted(map(str, peer.allowed_ips)), peer.persistent_keepalive) for peer in device.peers],
    )  # fmt: skip


def change(source: random.Random) -> DeviceUpdate:
    """Return a random change, mostly a small one."""
    return DeviceUpdate(
        private_key=rarely(source, [*PRIVATE, Key.ZERO]),
        fwmark=rarely(source, [0, 7, 2**32 - 1]),
        replace_peers=source.random() < 0.05,
        peers=tuple(peer_change(source) for _ in range(source.randrange(4))),
    )


def peer_change(source: random.Random) -> PeerUpdate:
    """A change of one peer."""
    return PeerUpdate(
        source.choice(PUBLIC),
        remove=source.random() < 0.1,
        update_only=source.random() < 0.2,
        preshared_key=rarely(source, [*PRIVATE, Key.ZERO]),
        endpoint=rarely(source, ENDPOINTS),
        persistent_keepalive=rarely(source, [0, 25, 65535]),
        replace_allowed_ips=source.random() < 0.2,
        removed_allowed_ips=tuple(source.sample(NETWORKS, source.choice((0, 0, 0, 2)))),
        allowed_ips=tuple(source.sample(NETWORKS, source.randrange(4))),
    )


def rarely(source: random.Random, choices: Sequence[Choice]) -> Choice | None:
    """One of the choices, or more often none."""
    return source.choice(choices) if source.random() < 0.3 else None


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

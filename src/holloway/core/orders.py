"""An update as the brain applies it: small tuples, with endpoints and routes in the plane's form.

The codec makes them straight from a text (`_native.Update.orders`); `orders` makes them of the
model's update, for programs that have that. Called by `device`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from holloway import model
from holloway.core.plane import EndpointType
from holloway.errors import ConfigError

Order = tuple[bytes, bool, bool, bytes | None, EndpointType | None, int | None, bytes | None]
"""Public key, remove, update only, preshared key, endpoint, keepalive, routes (see `pack`)."""

Orders = tuple[bytes | None, int | None, int | None, bool, list[Order[EndpointType]]]
"""Private key, listening port, fwmark, replace peers, peers; what is None stays as it is."""


def orders(
    update: model.DeviceUpdate, endpoint: Callable[[str, int], EndpointType]
) -> Orders[EndpointType]:
    """Turn an update into orders; raises ConfigError where `endpoint` makes none of an address."""
    private_key = None if update.private_key is None else update.private_key.raw
    peers = [_order(change, endpoint) for change in update.peers]
    return private_key, update.listen_port, update.fwmark, update.replace_peers, peers


def _order(
    change: model.PeerUpdate, endpoint: Callable[[str, int], EndpointType]
) -> Order[EndpointType]:
    there = change.endpoint
    try:
        place = None if there is None else endpoint(there.host, there.port)
    except ValueError as error:
        raise ConfigError(f"{error}: {there}", key="endpoint") from None
    return (
        change.public_key.raw,
        change.remove,
        change.update_only,
        None if change.preshared_key is None else change.preshared_key.raw,
        place,
        change.persistent_keepalive,
        pack(change),
    )


def pack(change: model.PeerUpdate) -> bytes | None:
    """Write what becomes of a peer's networks, None for nothing.

    A byte that is 1 if all are taken away first; then for each network a byte with the length of
    its address, and `TAKE` if it is taken away, its prefix length, and its address.
    """
    if not (change.replace_allowed_ips or change.removed_allowed_ips or change.allowed_ips):
        return None
    packed = bytearray([change.replace_allowed_ips])
    for address, cidr in change.removed_allowed_ips:
        packed += bytes([TAKE | len(address), cidr]) + address
    for address, cidr in change.allowed_ips:
        packed += bytes([len(address), cidr]) + address
    return bytes(packed)


TAKE: Final = 0x80

"""Converts the model to the codec's types and back.

`Device` becomes `State`, and `DeviceUpdate` becomes `Update`.
"""

from __future__ import annotations

from holloway.key import Key
from holloway.model import SECOND, AllowedIP, Device, DeviceUpdate, Endpoint, Peer, PeerUpdate
from holloway.text.native import State, Update


def state_of(device: Device) -> State:
    """Convert a device to the codec's type."""
    peers = [
        (
            peer.public_key.raw,
            _raw(peer.preshared_key),
            _endpoint(peer.endpoint),
            peer.allowed_ips,
            peer.latest_handshake // SECOND,
            peer.latest_handshake % SECOND,
            peer.rx_bytes,
            peer.tx_bytes,
            peer.persistent_keepalive,
            peer.protocol_version,
        )
        for peer in device.peers
    ]
    private_key, error = _raw(device.private_key), device.listen_error
    return State(private_key, device.listen_port, device.fwmark, peers, error)


def device_of(state: State, name: str) -> Device:
    """Convert the codec's state to a device."""
    private_key, listen_port, fwmark, parts, error = state.parts()
    peers = []
    for public, psk, endpoint, networks, seconds, nanoseconds, *rest in parts:
        handshake = seconds * SECOND + nanoseconds
        peer = Peer(
            Key(public),
            _key(psk),
            None if endpoint is None else Endpoint(*endpoint),
            tuple(map(AllowedIP._make, networks)),
            handshake,
            *rest,
        )
        peers.append(peer)
    return Device(name, _key(private_key), listen_port, fwmark, tuple(peers), error)


def update_of(update: DeviceUpdate) -> Update:
    """Convert an update to the codec's type."""
    peers = [
        (
            peer.public_key.raw,
            peer.remove,
            peer.update_only,
            _raw(peer.preshared_key),
            _endpoint(peer.endpoint),
            peer.persistent_keepalive,
            peer.replace_allowed_ips,
            peer.removed_allowed_ips,
            peer.allowed_ips,
        )
        for peer in update.peers
    ]
    private_key = _raw(update.private_key)
    return Update(private_key, update.listen_port, update.fwmark, update.replace_peers, peers)


def device_update_of(update: Update) -> DeviceUpdate:
    """Convert the codec's update to the model's."""
    private_key, listen_port, fwmark, replace_peers, parts = update.parts()
    peers = []
    for public, remove, only, psk, endpoint, keepalive, replace, removed, added in parts:
        peer = PeerUpdate(
            Key(public),
            remove,
            only,
            _key(psk),
            None if endpoint is None else Endpoint(*endpoint),
            keepalive,
            replace,
            tuple(map(AllowedIP._make, removed)),
            tuple(map(AllowedIP._make, added)),
        )
        peers.append(peer)
    return DeviceUpdate(_key(private_key), listen_port, fwmark, replace_peers, tuple(peers))


def _raw(key: Key | None) -> bytes | None:
    return None if key is None else key.raw


def _key(raw: bytes | None) -> Key | None:
    return None if raw is None else Key(raw)


def _endpoint(endpoint: Endpoint | None) -> tuple[str, int] | None:
    return None if endpoint is None else (endpoint.host, endpoint.port)

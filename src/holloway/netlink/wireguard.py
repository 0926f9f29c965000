"""The generic netlink family "wireguard", version 1: `DeviceUpdate` -> messages -> `Device`.

Pure but for the names of IPv6 zones. A change that is too long for one message is split into
several, and the kernel's answer comes in several, which callers need not know. Numbers are those
of linux/wireguard.h.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from holloway.key import Key
from holloway.model import (
    IPV4_LENGTH,
    AllowedIP,
    Device,
    DeviceUpdate,
    Endpoint,
    Peer,
    PeerUpdate,
)
from holloway.netlink.attributes import (
    GENERIC_LENGTH,
    attribute,
    attributes,
    generic,
    nest,
    protocol_error,
    string,
    text,
    u32,
)

FAMILY: Final = "wireguard"
VERSION: Final = 1
# An attribute's length has 16 bits, and the one with the peers holds nearly all of a message.
MESSAGE_LIMIT: Final = 32 * 1024


def get_request(name: str) -> bytes:
    """Write the request for a device."""
    return generic(_GET_DEVICE, VERSION) + _name(name)


def set_requests(name: str, update: DeviceUpdate, limit: int = MESSAGE_LIMIT) -> Iterator[bytes]:
    """Write the requests for a change, of at most `limit` bytes; OSError for an unknown zone."""
    start = generic(_SET_DEVICE, VERSION) + _name(name)
    message = start + b"".join(_device_attributes(update))
    peers: list[bytes] = []
    room = limit - len(message) - _NEST
    for peer in update.peers:
        head, networks = _peer_attributes(peer), _networks(peer)
        while True:
            fitting = (room - len(head) - 2 * _NEST) // _LARGEST_NETWORK
            if fitting < min(len(networks), 1):
                yield message + nest(_PEERS, peers)
                message, peers, room = start, [], limit - len(start) - _NEST
                continue
            piece = nest(0, [head, nest(_PEER_ALLOWED_IPS, networks[:fitting])])
            peers.append(piece)
            room -= len(piece)
            networks = networks[fitting:]
            if not networks:
                break
            # The rest, for the peer that the message before has created or found.
            head = _key(_PEER_PUBLIC_KEY, peer.public_key) + u32(_PEER_FLAGS, _UPDATE_ONLY)
    yield message + nest(_PEERS, peers) if peers else message


def parse_device(answers: Iterable[bytes]) -> Device:
    """Read a device from the payloads of all its messages; raises OSError."""
    try:
        return _parse_device(answers)
    except (LookupError, ValueError, struct.error):
        raise protocol_error() from None


def _parse_device(answers: Iterable[bytes]) -> Device:
    found: dict[int, bytes] = {}
    peers: list[Peer] = []
    for answer in answers:
        for kind, value in attributes(answer[GENERIC_LENGTH:]):
            if kind == _PEERS:
                _append_peers(peers, [_parse_peer(peer) for _, peer in attributes(value)])
            else:
                found[kind] = value
    private = found.get(_PRIVATE_KEY)
    return Device(
        string(found[_NAME]),
        None if private is None else Key(private),
        _number(found.get(_LISTEN_PORT, b"")),
        _number(found.get(_FWMARK, b"")),
        tuple(peers),
    )


def _append_peers(peers: list[Peer], more: Sequence[Peer]) -> None:
    """Add peers; one that continues from the message before only has more networks."""
    for peer in more:
        if peers and peers[-1].public_key == peer.public_key:
            networks = peers[-1].allowed_ips + peer.allowed_ips
            peers[-1] = replace(peers[-1], allowed_ips=networks)
        else:
            peers.append(peer)


def _parse_peer(value: bytes) -> Peer:
    found = dict(attributes(value))
    seconds, nanoseconds = _TIMESPEC.unpack(found.get(_PEER_HANDSHAKE, bytes(_TIMESPEC.size)))
    psk = Key(found.get(_PEER_PRESHARED_KEY, Key.ZERO.raw))
    endpoint = found.get(_PEER_ENDPOINT)
    networks = attributes(found.get(_PEER_ALLOWED_IPS, b""))
    return Peer(
        Key(found[_PEER_PUBLIC_KEY]),
        psk or None,
        None if endpoint is None else _parse_endpoint(endpoint),
        tuple([_parse_network(network) for _, network in networks]),
        seconds * _SECOND + nanoseconds,
        _number(found.get(_PEER_RX_BYTES, b"")),
        _number(found.get(_PEER_TX_BYTES, b"")),
        _number(found.get(_PEER_KEEPALIVE, b"")),
        _number(found.get(_PEER_VERSION, b"")) or VERSION,
    )


def _parse_network(value: bytes) -> AllowedIP:
    found = dict(attributes(value))
    return AllowedIP(found[_NETWORK_ADDRESS], found[_NETWORK_CIDR][0])


def _parse_endpoint(value: bytes) -> Endpoint | None:
    family = _number(value[:2])
    if family == socket.AF_INET:
        port, address = _SOCKADDR_IN.unpack_from(value, 2)
        return Endpoint(socket.inet_ntop(family, address), port)
    if family != socket.AF_INET6:
        return None
    port, _, address = _SOCKADDR_IN6.unpack_from(value, 2)
    host, scope = socket.inet_ntop(family, address), _number(value[_SCOPE : _SCOPE + 4])
    if scope:
        # The zone as getnameinfo(3) writes it: by name, or by number if it has none.
        flags = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
        host, _ = socket.getnameinfo((host, port, 0, scope), flags)
    return Endpoint(host, port)


def _device_attributes(update: DeviceUpdate) -> Iterator[bytes]:
    if update.private_key is not None:
        yield _key(_PRIVATE_KEY, update.private_key)
    if update.listen_port is not None:
        yield attribute(_LISTEN_PORT, struct.pack("=H", update.listen_port))
    if update.fwmark is not None:
        yield u32(_FWMARK, update.fwmark)
    if update.replace_peers:
        yield u32(_FLAGS, _REPLACE_PEERS)


def _peer_attributes(peer: PeerUpdate) -> bytes:
    """Write all of a peer but its networks."""
    pieces = [_key(_PEER_PUBLIC_KEY, peer.public_key)]
    flags = _UPDATE_ONLY if peer.update_only else 0
    if peer.remove:
        return b"".join([*pieces, u32(_PEER_FLAGS, flags | _REMOVE_PEER)])
    if peer.replace_allowed_ips:
        flags |= _REPLACE_ALLOWED_IPS
    if flags:
        pieces.append(u32(_PEER_FLAGS, flags))
    if peer.preshared_key is not None:
        pieces.append(_key(_PEER_PRESHARED_KEY, peer.preshared_key))
    if peer.endpoint is not None:
        pieces.append(attribute(_PEER_ENDPOINT, _endpoint(peer.endpoint)))
    if peer.persistent_keepalive is not None:
        pieces.append(attribute(_PEER_KEEPALIVE, struct.pack("=H", peer.persistent_keepalive)))
    return b"".join(pieces)


def _networks(peer: PeerUpdate) -> list[bytes]:
    if peer.remove:
        return []
    gone = [_network(network, u32(_NETWORK_FLAGS, 1)) for network in peer.removed_allowed_ips]
    return gone + [_network(network) for network in peer.allowed_ips]


def _network(network: AllowedIP, flags: bytes = b"") -> bytes:
    start = _NETWORK_OF_IPV4 if len(network.address) == IPV4_LENGTH else _NETWORK_OF_IPV6
    address = attribute(_NETWORK_ADDRESS, network.address)
    return nest(0, [start, address, attribute(_NETWORK_CIDR, bytes([network.cidr])), flags])


def _endpoint(endpoint: Endpoint) -> bytes:
    address, _, zone = endpoint.host.partition("%")
    if ":" not in address:
        packed = socket.inet_pton(socket.AF_INET, address)
        return struct.pack("=H", socket.AF_INET) + _SOCKADDR_IN.pack(endpoint.port, packed)
    packed = socket.inet_pton(socket.AF_INET6, address)
    scope = int(zone) if zone.isdecimal() else socket.if_nametoindex(zone) if zone else 0
    start = struct.pack("=H", socket.AF_INET6)
    return start + _SOCKADDR_IN6.pack(endpoint.port, 0, packed) + struct.pack("=I", scope)


def _name(name: str) -> bytes:
    return text(_NAME, name)


def _key(kind: int, key: Key) -> bytes:
    return attribute(kind, key.raw)


def _number(value: bytes) -> int:
    return int.from_bytes(value, sys.byteorder)


_GET_DEVICE: Final = 0
_SET_DEVICE: Final = 1
_NAME: Final = 2
_PRIVATE_KEY: Final = 3
_FLAGS: Final = 5
_LISTEN_PORT: Final = 6
_FWMARK: Final = 7
_PEERS: Final = 8
_REPLACE_PEERS: Final = 1
_PEER_PUBLIC_KEY: Final = 1
_PEER_PRESHARED_KEY: Final = 2
_PEER_FLAGS: Final = 3
_PEER_ENDPOINT: Final = 4
_PEER_KEEPALIVE: Final = 5
_PEER_HANDSHAKE: Final = 6
_PEER_RX_BYTES: Final = 7
_PEER_TX_BYTES: Final = 8
_PEER_ALLOWED_IPS: Final = 9
_PEER_VERSION: Final = 10
_REMOVE_PEER: Final = 1
_REPLACE_ALLOWED_IPS: Final = 2
_UPDATE_ONLY: Final = 4
_NETWORK_FAMILY: Final = 1
_NETWORK_ADDRESS: Final = 2
_NETWORK_CIDR: Final = 3
_NETWORK_FLAGS: Final = 4  # Linux 6.16; 1 removes the network from the peer

_SECOND: Final = 1_000_000_000
_TIMESPEC: Final = struct.Struct("=qq")
_SOCKADDR_IN: Final = struct.Struct("!H4s8x")  # after the family
_SOCKADDR_IN6: Final = struct.Struct("!HI16s")  # after the family, before the zone
_SCOPE: Final = 24
_NEST: Final = 4
_LARGEST_NETWORK: Final = 48
_NETWORK_OF_IPV4: Final = attribute(_NETWORK_FAMILY, struct.pack("=H", socket.AF_INET))
_NETWORK_OF_IPV6: Final = attribute(_NETWORK_FAMILY, struct.pack("=H", socket.AF_INET6))

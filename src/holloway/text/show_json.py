"""The output of `wg show --json`: whole devices for programs, with the names of wg-json.

wg-json is a script of wireguard-tools. As there, settings that are off are left out, except the
allowed IPs, and secret keys are shown.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from holloway.key import Key
from holloway.model import SECOND, Device, Peer

NameOf = Mapping[Key, str]


def to_json(devices: list[tuple[Device, NameOf]]) -> str:
    """Format devices as one JSON object, by interface, with the names of peers that have one."""
    shown = {device.name: _device(device, names) for device, names in devices}
    return json.dumps(shown, indent="\t", ensure_ascii=False) + "\n"


def _device(device: Device, names: NameOf) -> dict[str, object]:
    public = device.public_key
    settings = {
        "privateKey": device.private_key and device.private_key.base64,
        "publicKey": public and public.base64,
        "listenPort": device.listen_port,
        "listenError": device.listen_error and os.strerror(device.listen_error),
        "fwmark": device.fwmark,
    }
    peers = {
        peer.public_key.base64: _peer(peer, names.get(peer.public_key)) for peer in device.peers
    }
    return {name: value for name, value in settings.items() if value} | {"peers": peers}


def _peer(peer: Peer, name: str | None) -> dict[str, object]:
    settings = {
        "name": name,
        "presharedKey": peer.preshared_key and peer.preshared_key.base64,
        "endpoint": peer.endpoint and str(peer.endpoint),
        "latestHandshake": peer.latest_handshake // SECOND,
        "transferRx": peer.rx_bytes,
        "transferTx": peer.tx_bytes,
        "persistentKeepalive": peer.persistent_keepalive,
    }
    present: dict[str, object] = {key: value for key, value in settings.items() if value}
    return present | {"allowedIps": [str(network) for network in peer.allowed_ips]}

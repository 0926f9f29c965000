from __future__ import annotations

import json

from holloway.key import Key
from holloway.model import AllowedIP, Device, Endpoint, Peer
from holloway.text.show_json import to_json

PRIVATE, PA, PB = Key(b"\x48" * 32), Key(bytes([5]) * 32), Key(bytes([9]) * 32)
FULL = Peer(
    PA, PB, Endpoint("fe80::1%eth0", 7), (AllowedIP.parse("10.0.0.0/8"),), 5_000_000_009, 2, 1, 25
)  # fmt: skip


def test_json_has_the_names_of_wg_json() -> None:
    text = to_json([(Device("wg0", PRIVATE, 51820, 16, (FULL,)), {PA: "Alice"})])
    assert json.loads(text) == {
        "wg0": {
            "privateKey": PRIVATE.base64,
            "publicKey": PRIVATE.public().base64,
            "listenPort": 51820,
            "fwmark": 16,
            "peers": {
                PA.base64: {
                    "name": "Alice",
                    "presharedKey": PB.base64,
                    "endpoint": "[fe80::1%eth0]:7",
                    "latestHandshake": 5,
                    "transferRx": 2,
                    "transferTx": 1,
                    "persistentKeepalive": 25,
                    "allowedIps": ["10.0.0.0/8"],
                }
            },
        }
    }


def test_settings_that_are_off_are_omitted() -> None:
    text = to_json([(Device("wg0", peers=(Peer(PA),)), {})])
    assert json.loads(text) == {"wg0": {"peers": {PA.base64: {"allowedIps": []}}}}


def test_no_device_is_an_empty_object() -> None:
    assert to_json([]) == "{}\n"

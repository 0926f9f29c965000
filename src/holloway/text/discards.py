"""Counts of discarded packets by reason: in the UAPI, for people, and as JSON.

Pure. A packet is counted for the device, and also for its peer if that is known. Used by the device
for its answer and its log, and by `wg show INTERFACE discards`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from holloway.key import Key
from holloway.text.show import NONE, Style

Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Discards:
    """Counts by reason: of a device, and of each of its peers that has any."""

    device: Counts
    peers: Mapping[Key, Counts] = field(default_factory=dict)


def explanation(reason: str) -> str:
    """Return what a reason means in a few words; a newer device may have unknown ones."""
    return EXPLANATIONS.get(reason, "see the documentation of the device")


def dump_answer(discards: Discards) -> bytes:
    """Return a device's answer to `discards=1`, without the errno line that ends it."""
    lines = [f"{reason}={count}" for reason, count in discards.device.items()]
    for key, counts in discards.peers.items():
        lines.append(f"public_key={key.raw.hex()}")
        lines += [f"{reason}={count}" for reason, count in counts.items()]
    return "".join(f"{line}\n" for line in lines).encode()


def parse_answer(answer: bytes) -> Discards:
    """Parse such an answer without its zeros; raises OSError (EPROTO)."""
    device: dict[str, int] = {}
    peers: dict[Key, Counts] = {}
    counts = device
    try:
        for line in answer.decode("ascii").splitlines():
            name, _, value = line.partition("=")
            if name == "public_key":
                counts = {}
                peers[Key.from_hex(value)] = counts
            elif name not in ("", "errno") and int(value):
                counts[name] = int(value)
    except ValueError:
        raise OSError(errno.EPROTO, os.strerror(errno.EPROTO)) from None
    return Discards(device, peers)


def pretty(name: str, discards: Discards, style: Style, names: Mapping[Key, str]) -> str:
    """Format the counts of the interface `name` for people; `names` appear beside keys."""
    lines = [style.heading(name)]
    lines += _rows(discards.device, style)
    for key, counts in discards.peers.items():
        lines += ["", style.peer_heading(key, names.get(key)), *_rows(counts, style)]
    return "\n".join(lines) + "\n"


def to_json(devices: Iterable[tuple[str, Discards, Mapping[Key, str]]]) -> str:
    """Format counts as one JSON object, by interface, with the names of peers that have one."""
    import json

    shown = {
        name: {
            "discards": dict(discards.device),
            "peers": {
                key.base64: ({"name": names[key]} if key in names else {})
                | {"discards": dict(counts)}
                for key, counts in discards.peers.items()
            },
        }
        for name, discards, names in devices
    }
    return json.dumps(shown, indent="\t", ensure_ascii=False) + "\n"


def _rows(counts: Counts, style: Style) -> list[str]:
    rows = [
        f"{style.label(reason)}{count} ({explanation(reason)})" for reason, count in counts.items()
    ]
    return rows or [f"  {NONE}"]


EXPLANATIONS: Final[Mapping[str, str]] = {
    "not_ip": "neither IPv4 nor IPv6",
    "no_peer": "to an address that no peer has among its allowed IPs",
    "no_endpoint": "to a peer whose endpoint is not known",
    "staged_overflow": "the oldest of more than 128 that waited for a handshake",
    "staged_dropped": "waited for a handshake that was given up",
    "send_failed": "the system refused to send",
    "no_socket": "to an endpoint of an address family that is not available",
    "bad_offload": "contradicts its offload header",
    "truncated": "too short for its type, or longer than the receive buffer",
    "unknown_type": "none of WireGuard's messages, or of a wrong size",
    "bad_mac1": "a handshake whose sender has a wrong public key for this device",
    "cookie_required": "a handshake under load, answered by a cookie",
    "rate_limited": "one handshake too many of one address, under load",
    "queue_full": "a handshake while too many others waited",
    "no_identity": "a handshake, and the device has no private key",
    "no_private_key": "a handshake, and the device has no private key",
    "unexpected_response": "a handshake response that nothing waits for",
    "late_response": "a handshake response that nothing waits for any more",
    "bad_cookie_reply": "a cookie that is forged, or that nothing waits for",
    "unknown_index": "for a session that does not exist, or no longer",
    "expired": "for a session that is too old",
    "exhausted": "for a session that has carried too many packets",
    "forged": "failed authentication",
    "replayed": "received before, or too old to tell",
    "malformed_inner": "no IP packet inside",
    "source_not_allowed": "inner source is not among the peer's allowed IPs",
    "write_failed": "the interface did not take it",
    "bad_message": "no handshake message",
    "unknown_peer": "a handshake by a public key that is no peer of this device",
    "undecryptable": "a handshake for another key, or with another preshared key",
    "low_order": "a handshake with a public key that gives everyone the same secret",
    "replayed_initiation": "a handshake initiation not newer than the latest",
    "initiation_flood": "a second handshake initiation within 20 ms",
    "internal_error": "a handshake that met a defect of this program; the log says which",
}

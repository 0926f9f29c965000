"""The brain's half of a device's state.

`_native.Plane.state` adds the plane's half: endpoints, allowed IPs and traffic.
"""

from __future__ import annotations

from typing import NamedTuple

from holloway.model import Endpoint


class PeerSnapshot(NamedTuple):
    """One peer; `id` is its number in events, `latest_handshake` is nanoseconds since 1970."""

    id: int
    public_key: bytes
    preshared_key: bytes | None
    latest_handshake: int
    persistent_keepalive: int


class HandshakeSnapshot(NamedTuple):
    """How it goes with the handshake of a peer; `latest_handshake` is nanoseconds since 1970.

    `unanswered` is how long our initiations have had no answer, in nanoseconds.
    `is_undecryptable` means that messages from the peer came and could not be decrypted.
    """

    public_key: bytes
    endpoint: Endpoint | None
    has_session: bool
    is_undecryptable: bool
    unanswered: int
    latest_handshake: int


class DeviceSnapshot(NamedTuple):
    """A device; `listen_port` 0 means that no port is chosen, `fwmark` 0 means off.

    `listen_error` is the errno because of which the interface is up without its port, or 0.
    """

    private_key: bytes | None
    listen_port: int
    fwmark: int
    peers: list[PeerSnapshot]
    listen_error: int = 0

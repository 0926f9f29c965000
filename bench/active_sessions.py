"""Thousands of peers of one device in one process: real handshakes, one plane for all sessions.

    active_sessions.py COUNT KEY HOST    print what became of the handshakes as JSON; run until
                                         the input ends

Each peer has a key of its own. The handshakes are made here, from a socket of their own; a session
then goes to the plane, whose first packet shows the device where the peer is from now on. Peer N is
`near(N)` and sees the device as `far(N)`, so that the plane finds the session of a packet by its
destination. Both hosts treat all such addresses as their own. Sessions are not renewed: they last
180 seconds.
"""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from handshakes import initiation

from holloway._native import Endpoint, Plane
from holloway.cli.device import DEFAULT_MTU, open_tun
from holloway.core import noise
from holloway.core.constants import NEVER, REJECT_AFTER_TIME
from holloway.core.wire import Response, parse_handshake_untrusted
from holloway.device.tunnel import now
from holloway.errors import BadMessage
from holloway.key import Key
from holloway.model import AllowedIP, DeviceUpdate, PeerUpdate
from holloway.text.convert import update_of

if TYPE_CHECKING:
    from holloway._native import Peer

PORT = 51820
MACS = 32
A_SECOND = 400
"""Initiations a second: with more than 500 a device of ours is under load and wants cookies."""
WAIT_SECONDS = 2.0
ATTEMPTS = 5
NEAR, FAR = "10.100.0.0/16", "10.97.0.0/16"


def near(number: int) -> str:
    """Return a peer's address in the tunnel."""
    return f"10.100.{number >> 8}.{number & 255}"


def far(number: int) -> str:
    """Return the device's address as a peer uses it."""
    return f"10.97.{number >> 8}.{number & 255}"


class Sessions:
    """The peers' sessions with a device."""

    def __init__(self, count: int, key: bytes, host: str) -> None:
        self._device_key = key
        self._endpoint = Endpoint(host, PORT)
        self._caller = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._caller.connect((host, PORT))
        self._caller.setblocking(False)
        self._states = dict[int, noise.InitiatorState]()
        self._missing = set(range(count))
        self._tun = open_tun("wg0")
        self._plane = Plane(self._tun)
        self._plane.set_mtu(DEFAULT_MTU)
        self._plane.bind(0, 0)
        self._peers = [self._peer(number) for number in range(count)]

    def establish(self) -> dict[str, float]:
        """Make all handshakes; those without a response are tried again."""
        began = time.monotonic()
        for _ in range(ATTEMPTS):
            start = time.monotonic()
            for count, number in enumerate(sorted(self._missing)):
                self._read_until(start + count / A_SECOND)
                message, self._states[number] = initiation(number, self._device_key)
                self._caller.send(message)
            end = time.monotonic() + WAIT_SECONDS
            while self._missing and time.monotonic() < end:
                self._read_until(time.monotonic() + 0.05)
            if not self._missing:
                break
        return {"seconds": time.monotonic() - began, "without": len(self._missing)}

    def close(self) -> None:
        """End all sessions."""
        self._plane.close()
        self._tun.close()
        self._caller.close()

    def _peer(self, number: int) -> Peer:
        peer = self._plane.peer(self._device_key)
        allowed = PeerUpdate(Key(bytes(32)), allowed_ips=(AllowedIP.parse(f"{far(number)}/32"),))
        (change,) = update_of(DeviceUpdate(peers=(allowed,))).peer_changes()
        assert change.allowed_ips is not None
        peer.change_allowed_ips(change.allowed_ips)
        peer.set_endpoint(self._endpoint)
        return peer

    def _read_until(self, end: float) -> None:
        """Take responses as they come."""
        while True:
            left = max(0, end - time.monotonic())
            if not select.select([self._caller], [], [], left)[0]:
                return
            try:
                message = parse_handshake_untrusted(self._caller.recv(256)[:-MACS])
            except (
                BadMessage
            ):  # a device under load wants a cookie: the next attempt may do without
                continue
            if not isinstance(message, Response):
                continue
            state = self._states[message.receiver]
            keys = noise.consume_response_untrusted(state, noise.NO_PRESHARED_KEY, message)
            if isinstance(keys, noise.SessionKeys) and message.receiver in self._missing:
                self._missing.remove(message.receiver)
                self._install(keys)

    def _install(self, keys: noise.SessionKeys) -> None:
        """Install a session, which sends an empty packet."""
        self._peers[keys.local_index].install(
            keys, confirmed=True,
            renew_on_send=NEVER, renew_on_receive=NEVER, reject=now() + REJECT_AFTER_TIME,
        )  # fmt: skip


def main(count: int, key: str, host: str) -> None:
    """Establish all sessions, and hold them until the input ends."""
    sessions = Sessions(count, Key.from_base64(key).raw, host)
    for command in (
        "link set wg0 up",
        f"route add {FAR} dev wg0",
        f"route add local {NEAR} dev lo",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    print(json.dumps(sessions.establish()), flush=True)
    sys.stdin.read()
    sessions.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])

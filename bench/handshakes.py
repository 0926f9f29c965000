"""Handshakes of many peers at once.

    handshakes.py peers COUNT                  print their `[Peer]` sections, for the responder
    handshakes.py call COUNT PUBLIC-KEY HOST   send initiations; print answers a second as JSON

The peers' keys are derived from their numbers. Initiations are computed beforehand. At most 64 are
unanswered at any time, because real clients would also wait for an answer.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import select
import socket
import sys
import time

from holloway.core import noise, tai64n
from holloway.key import Key

WINDOW = 64
TIMEOUT = 2.0


def private_key(number: int) -> bytes:
    return Key(hashlib.blake2s(b"bench %d" % number).digest()).clamped().raw


def peers(count: str) -> None:
    """Print the peers' sections of the configuration."""
    for number in range(int(count)):
        public = noise.Identity.of(private_key(number)).remote.raw
        print(f"[Peer]\nPublicKey = {base64.b64encode(public).decode()}")


def call(count: str, public_key: str, host: str) -> None:
    """Send every peer's initiation once and count the responses."""
    raw = base64.b64decode(public_key)
    messages = initiations(int(count), raw)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        caller.connect((host, 51820))
        caller.setblocking(False)
        sent = answered = 0
        started = last_response = time.monotonic()
        while answered < len(messages) and time.monotonic() < last_response + TIMEOUT:
            while sent < len(messages) and sent - answered < WINDOW:
                caller.send(messages[sent])
                sent += 1
            if not select.select([caller], [], [], TIMEOUT)[0]:
                break
            answered += caller.recv(256)[0] == 2
            last_response = time.monotonic()
    print(json.dumps({
        "answers/s": answered / (last_response - started),
        "unanswered": len(messages) - answered,
    }))  # fmt: skip


def initiations(count: int, public_key: bytes) -> list[bytes]:
    remote = noise.Remote.of(public_key)
    return [initiation(number, remote)[0] for number in range(count)]


def initiation(number: int, remote: noise.Remote) -> tuple[bytes, noise.InitiatorState]:
    """Return a peer's initiation with its mac1, and what its response is read with."""
    static_static = noise.Identity.of(private_key(number)).static_static(remote)
    assert static_static is not None
    message, state = noise.initiate(static_static, ephemeral=os.urandom(32), index=number,
                                    timestamp=tai64n.encode(time.time_ns()))  # fmt: skip
    bare = message.build()
    mac1_key = hashlib.blake2s(b"mac1----" + remote.raw).digest()
    mac1 = hashlib.blake2s(bare, key=mac1_key, digest_size=16).digest()
    return bare + mac1 + bytes(16), state


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])

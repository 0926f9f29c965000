"""Record handshakes with another implementation, in both roles, as `handshakes.json`.

Run once, as root, in a separate network namespace:

    unshare -n .venv/bin/python tests/vectors/capture.py PROGRAM "NAME VERSION" > handshakes.json

PROGRAM takes an interface name and serves the UAPI, as wireguard-go does. Our side is a UDP socket
and `core.noise` with fixed static and ephemeral keys. The other side has a fixed static key and
generates its ephemeral keys. Its first transport packet shows that it accepted the session.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from hashlib import blake2s
from pathlib import Path

from holloway.core import noise, tai64n
from holloway.core.wire import Initiation, Response, parse_handshake_untrusted
from holloway.key import Key

INTERFACE = "hvec0"
THEIR_PORT, OUR_PORT = 51901, 51902
OURS = Key(blake2s(b"our static key").digest()).clamped()
THEIRS = Key(blake2s(b"their static key").digest()).clamped()
EPHEMERAL = blake2s(b"our ephemeral key").digest()
PRESHARED_KEY = Key(blake2s(b"preshared key").digest())
INDEX = 0x01020304
MAC1_LABEL = b"mac1----"


def main() -> None:
    program, version = sys.argv[1:]
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    captures = [
        capture(program, preshared_key, we_initiate=we_initiate)
        for we_initiate in (False, True)
        for preshared_key in (None, PRESHARED_KEY)
    ]
    json.dump({"implementation": version, "handshakes": captures}, sys.stdout, indent=2)
    sys.stdout.write("\n")


def capture(program: str, preshared_key: Key | None, *, we_initiate: bool) -> dict[str, str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.bind(("127.0.0.1", OUR_PORT))
        ours.settimeout(10)
        process = subprocess.Popen([program, "-f", INTERFACE], stdout=2)
        try:
            configure(preshared_key, with_endpoint=not we_initiate)
            subprocess.run(["ip", "link", "set", INTERFACE, "up"], check=True)
            record = initiate(ours, preshared_key) if we_initiate else respond(ours, preshared_key)
        finally:
            process.terminate()
            process.wait()
    return {
        "initiator": "us" if we_initiate else "them",
        "our_private_key": OURS.hex,
        "their_private_key": THEIRS.hex,
        "preshared_key": "" if preshared_key is None else preshared_key.hex,
        "our_ephemeral": EPHEMERAL.hex(),
        "our_index": f"{INDEX:08x}",
    } | record


def configure(preshared_key: Key | None, *, with_endpoint: bool) -> None:
    path = f"/var/run/wireguard/{INTERFACE}.sock"
    lines = [
        "set=1",
        f"private_key={THEIRS.hex}",
        f"listen_port={THEIR_PORT}",
        f"public_key={OURS.public().hex}",
        "persistent_keepalive_interval=1",
        "allowed_ip=10.0.0.0/8",
    ]
    if preshared_key is not None:
        lines.append(f"preshared_key={preshared_key.hex}")
    if with_endpoint:
        lines.append(f"endpoint=127.0.0.1:{OUR_PORT}")
    with socket.socket(socket.AF_UNIX) as uapi:
        for _ in range(50):
            if os.path.exists(path):
                break
            time.sleep(0.1)
        uapi.connect(path)
        uapi.sendall("\n".join([*lines, "", ""]).encode())
        assert uapi.recv(100) == b"errno=0\n\n"


def respond(ours: socket.socket, preshared_key: Key | None) -> dict[str, str]:
    datagram = ours.recv(2000)
    message = parse_handshake_untrusted(datagram[:-32])
    assert isinstance(message, Initiation)
    identity = noise.Identity(OURS.raw)
    static_static = identity.static_static(THEIRS.public().raw)
    assert static_static is not None
    unproven = noise.decrypt_static_untrusted(identity, message)
    assert isinstance(unproven, noise.UnprovenInitiation)
    proven = noise.decrypt_timestamp_untrusted(static_static, unproven)
    assert isinstance(proven, noise.ResponderState)
    psk = (preshared_key or Key.ZERO).raw
    written = noise.respond(proven, psk, ephemeral=EPHEMERAL, index=INDEX)
    response, _ = written
    ours.sendto(with_macs(response.build()), ("127.0.0.1", THEIR_PORT))
    return {
        "initiation": datagram[:-32].hex(),
        "response": response.build().hex(),
        "timestamp": proven.timestamp.hex(),
        "transport": transport(ours).hex(),
    }


def initiate(ours: socket.socket, preshared_key: Key | None) -> dict[str, str]:
    identity = noise.Identity(OURS.raw)
    static_static = identity.static_static(THEIRS.public().raw)
    assert static_static is not None
    timestamp = tai64n.encode(tai64n.whiten(time.time_ns()))
    written = noise.initiate(static_static, ephemeral=EPHEMERAL, index=INDEX, timestamp=timestamp)
    initiation, state = written
    there = ("127.0.0.1", THEIR_PORT)
    ours.sendto(with_macs(initiation.build()), there)
    datagram = ours.recv(2000)
    message = parse_handshake_untrusted(datagram[:-32])
    assert isinstance(message, Response)
    keys = noise.consume_response_untrusted(state, (preshared_key or Key.ZERO).raw, message)
    assert isinstance(keys, noise.SessionKeys)
    ours.sendto(keepalive(keys), there)  # confirms the session
    return {
        "initiation": initiation.build().hex(),
        "response": datagram[:-32].hex(),
        "timestamp": timestamp.hex(),
        "transport": transport(ours).hex(),
    }


def transport(ours: socket.socket) -> bytes:
    while (datagram := ours.recv(2000))[0] != 4:
        pass
    return datagram


def keepalive(keys: noise.SessionKeys) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    header = (4).to_bytes(4, "little") + keys.remote_index.to_bytes(4, "little") + bytes(8)
    return header + ChaCha20Poly1305(keys.send).encrypt(bytes(12), b"", b"")


def with_macs(message: bytes) -> bytes:
    """Add mac1, and zeros for mac2 (paper, 5.4.4)."""
    key = blake2s(MAC1_LABEL + THEIRS.public().raw).digest()
    return message + blake2s(message, key=key, digest_size=16).digest() + bytes(16)


if __name__ == "__main__":
    if not Path("/dev/net/tun").exists():
        sys.exit("capture: needs /dev/net/tun")
    main()

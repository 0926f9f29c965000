"""A hub that has just started, and all of its clients at once.

    reconnect.py clients COUNT PUBLIC-KEY HOST   let the clients in; print the figures as JSON

Each client has an address of its own, in networks of 250, and sends one initiation. It consumes the
response and confirms the session with a keepalive. What a client does after a cookie reply is its
implementation's: kernel and wireguard-go send again after five seconds, so here it is only counted.
"""

from __future__ import annotations

import base64
import json
import socket
import statistics
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from handshakes import initiation

from holloway.core import noise
from holloway.core.wire import RESPONSE_LENGTH, Response, parse_handshake_untrusted

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunnel import Tunnel

NETWORK = "10.96.0.0/16"
PORT = 51821
IP_PKTINFO, SO_RCVBUFFORCE = 8, 33  # linux/in.h, asm-generic/socket.h; Python lacks them
SILENCE = 3.0
"""After this many seconds without an answer, no more is expected."""
PACKET_INFO = struct.Struct("=I4s4s")  # struct in_pktinfo
RESPONSE, COOKIE_REPLY = 2, 3


def reconnect(count: int) -> Callable[[Tunnel, int], dict[str, float]]:
    """Measure how long it takes until all clients have sessions, and round trips meanwhile."""

    def measure(tunnel: Tunnel, seconds: int) -> dict[str, float]:
        del seconds
        here = Path(__file__).parent
        command = [sys.executable, str(here / "handshakes.py"), "peers", str(count)]
        config = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        tunnel.hosts[1].write("/run/clients.conf", config)
        tunnel.wg(2, "addconf", "wg0", "/run/clients.conf")
        tunnel.hosts[0].run("ip", "route", "add", "local", NETWORK, "dev", "lo")
        tunnel.hosts[1].run("ip", "route", "add", NETWORK, "via", "10.99.0.1")
        clients = tunnel.hosts[0].popen(
            sys.executable, str(here / "reconnect.py"), "clients", str(count),
            tunnel.keys[1].public, "10.99.0.2",
        )  # fmt: skip
        assert clients.stdout is not None
        assert clients.stdout.readline() == "ready\n"
        before = tunnel.cpu_seconds()
        times = tunnel.ping(1000)
        shown, _ = clients.communicate(timeout=120)
        used = tunnel.cpu_seconds() - before
        figures: dict[str, float] = json.loads(shown)
        figures["CPU us/client"] = used / count * 1e6
        return figures | {
            "ping beside it: median ms": statistics.median(times),
            "ping beside it: 99 % ms": times[len(times) * 99 // 100],
            "pings lost": 1000 - len(times),
        }

    return measure


def address(number: int) -> bytes:
    return bytes((10, 96, number // 250, number % 250 + 1))


def number_of(packed: bytes) -> int:
    return packed[2] * 250 + packed[3] - 1


def clients(count: str, public_key: str, host: str) -> None:
    """Send every client's initiation as fast as answers are read, and complete its handshake."""
    total = int(count)
    begun = [initiation(number, base64.b64decode(public_key)) for number in range(total)]
    hub = (host, 51820)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
        sender.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        sender.bind(("", PORT))
        sender.settimeout(SILENCE)
        print("ready", flush=True)
        started = last = time.monotonic()
        used = time.process_time()
        sent = cookies = sessions = 0
        while sessions + cookies < total:
            if sent < total:
                send(sender, hub, sent, begun[sent][0])
                sent += 1
            try:
                flags = socket.MSG_DONTWAIT if sent < total else 0
                message, control, _, _ = sender.recvmsg(256, 64, flags)
            except BlockingIOError:
                continue
            except TimeoutError:
                break
            number = number_of(PACKET_INFO.unpack(control[0][2])[2])
            cookies += message[0] == COOKIE_REPLY
            if message[0] == RESPONSE:
                send(sender, hub, number, keepalive(begun[number][1], message))
                sessions += 1
                last = time.monotonic()
    print(json.dumps({
        "clients in %": 100 * sessions / total,
        "asked for a cookie %": 100 * cookies / total,
        "s until the last": last - started,
        "CPU of the clients us/client": (time.process_time() - used) / total * 1e6,
    }))  # fmt: skip


def send(sender: socket.socket, hub: tuple[str, int], number: int, message: bytes) -> None:
    """Send from the client's address."""
    info = PACKET_INFO.pack(0, address(number), bytes(4))
    sender.sendmsg([message], [(socket.IPPROTO_IP, IP_PKTINFO, info)], 0, hub)


def keepalive(state: noise.InitiatorState, message: bytes) -> bytes:
    """Return the empty packet that confirms the session to the responder (paper, 5.4.6)."""
    response = parse_handshake_untrusted(message[:RESPONSE_LENGTH])
    assert isinstance(response, Response)
    keys = noise.consume_response_untrusted(state, noise.NO_PRESHARED_KEY, response)
    assert isinstance(keys, noise.SessionKeys)
    sealed = ChaCha20Poly1305(keys.send).encrypt(bytes(12), b"", b"")
    return struct.pack("<IIQ", 4, keys.remote_index, 0) + sealed


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])

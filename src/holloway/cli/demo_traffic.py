"""The programs that the demo runs in its hosts: a TCP sender, a receiver, an eavesdropper.

Each is `python -m holloway.cli.demo_traffic NAME ARGUMENT...` and prints JSON. They do not know
WireGuard: the tunnel is an ordinary network to them.
"""

from __future__ import annotations

import json
import socket
import sys
import time

CHUNK = 1 << 20
ETH_P_ALL = 3  # linux/if_ether.h
PORT = 8000


def receive(address: str) -> None:
    """Accept one connection and count its bytes until it ends."""
    with socket.create_server((address, PORT)) as listener:
        print("ready", flush=True)
        connection, _ = listener.accept()
    buffer = bytearray(CHUNK)
    total = 0
    with connection:
        started = time.monotonic()
        while got := connection.recv_into(buffer):
            total += got
        seconds = time.monotonic() - started
    print(json.dumps({"bytes": total, "seconds": seconds}))


def send(address: str, seconds: str, text: str) -> None:
    """Send a text repeatedly for some seconds (0: a hundred times)."""
    payload = text.encode() * (CHUNK // len(text))
    with socket.create_connection((address, PORT), timeout=20) as connection:
        if float(seconds) == 0:
            connection.sendall(text.encode() * 100)
            return
        end = time.monotonic() + float(seconds)
        while time.monotonic() < end:
            connection.sendall(payload)


def eavesdrop(interface: str, text: str) -> None:
    """Count the packets of an interface that contain a text, until none comes for 0.5 s."""
    wanted = text.encode()
    packets = hits = 0
    sample = b""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as tap:
        tap.bind((interface, ETH_P_ALL))
        tap.settimeout(0.5)
        print("ready", flush=True)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                packet = tap.recv(CHUNK)
            except TimeoutError:
                if packets:
                    break
                continue
            packets += 1
            hits += wanted in packet
            if len(packet) > len(sample):
                sample = packet
    print(json.dumps({"packets": packets, "hits": hits, "sample": sample[-48:].hex()}))


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])

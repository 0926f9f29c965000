"""Small programs that tests run inside hosts: `python traffic.py NAME ARGUMENT...`.

Each prints "ready" when it listens, and JSON at its end.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import json
import random
import socket
import sys
import time

from datagrams import datagrams_receive, datagrams_send
from lossy_link import lossy_link

__all__ = ["datagrams_receive", "datagrams_send", "lossy_link"]

CHUNK = 1 << 20


def tcp_receive(address: str, port: str) -> None:
    """Accept one connection, and hash the bytes that arrive."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, int(port)), family=family) as listener:
        print("ready", flush=True)
        listener.settimeout(60)
        connection, _ = listener.accept()
    digest, total, buffer = hashlib.sha256(), 0, bytearray(CHUNK)
    connection.settimeout(60)
    with connection:
        while got := connection.recv_into(buffer):
            digest.update(memoryview(buffer)[:got])
            total += got
    print(json.dumps({"bytes": total, "hash": digest.hexdigest()}))


def tcp_send(address: str, port: str, megabytes: str) -> None:
    """Send pseudo-random data and hash it."""
    print("ready", flush=True)
    digest, source = hashlib.sha256(), random.Random(1)
    chunk = source.randbytes(CHUNK)
    with socket.create_connection((address, int(port)), timeout=60) as connection:
        for number in range(int(megabytes)):
            piece = number.to_bytes(8, "big") + chunk[8:]
            digest.update(piece)
            connection.sendall(piece)
    print(json.dumps({"bytes": int(megabytes) * CHUNK, "hash": digest.hexdigest()}))


def tcp_send_for(address: str, port: str, seconds: str) -> None:
    """Send pseudo-random data for some time and hash it."""
    print("ready", flush=True)
    digest, chunk, total = hashlib.sha256(), random.Random(1).randbytes(CHUNK), 0
    end = time.monotonic() + float(seconds)
    with socket.create_connection((address, int(port)), timeout=60) as connection:
        while time.monotonic() < end:
            piece = total.to_bytes(8, "big") + chunk[8 : CHUNK >> 4]
            digest.update(piece)
            connection.sendall(piece)
            total += len(piece)
    print(json.dumps({"bytes": total, "hash": digest.hexdigest()}))


def udp_receive(address: str, port: str, seconds: str) -> None:
    """Receive one datagram, or none within the time."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as receiver:
        receiver.bind((address, int(port)))
        receiver.settimeout(float(seconds))
        print("ready", flush=True)
        try:
            data, source = receiver.recvfrom(65535)
        except TimeoutError:
            print(json.dumps({"data": None}))
            return
    print(json.dumps({"data": data.hex(), "from": source[0]}))


def udp_send(address: str, port: str, text: str) -> None:
    """Send one datagram."""
    print("ready", flush=True)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.sendto(text.encode(), (address, int(port)))
    print(json.dumps({"sent": len(text)}))


def numbered_receive(address: str, port: str) -> None:
    """Receive the datagrams of `numbered_send`, and count those that came after a later one."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    received = late = 0
    newest = -1
    with socket.socket(family, socket.SOCK_DGRAM) as receiver:
        receiver.bind((address, int(port)))
        receiver.settimeout(60)
        print("ready", flush=True)
        while data := receiver.recv(2048):
            number = int.from_bytes(data[:8], "big")
            received += 1
            late += number < newest
            newest = max(newest, number)
    print(json.dumps({"received": received, "late": late}))


def numbered_send(address: str, port: str, count: str) -> None:
    """Send numbered datagrams in small bursts, and then empty ones."""
    print("ready", flush=True)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.connect((address, int(port)))
        for number in range(int(count)):
            sender.send(number.to_bytes(8, "big") + bytes(number % 1000))
            if number % 16 == 15:
                time.sleep(0.001)
        for _ in range(5):
            time.sleep(0.2)
            with contextlib.suppress(ConnectionRefusedError):  # the receiver has ended
                sender.send(b"")
    print(json.dumps({"sent": int(count)}))


def udp_garbage(address: str, port: str, count: str, seed: str) -> None:
    """Send datagrams of all lengths and kinds, none of them valid."""
    print("ready", flush=True)
    source = random.Random(int(seed))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(int(count)):
            size = source.choice((0, 1, 4, 16, 31, 32, 64, 92, 148, 149, source.randrange(1500)))
            data = bytearray(source.randbytes(size))
            if size >= 4 and number % 3:
                data[:4] = bytes((source.randrange(6), 0, 0, 0))
            sender.sendto(data, (address, int(port)))
        sender.sendto(bytes(65507), (address, int(port)))
    print(json.dumps({"sent": int(count) + 1}))


def handshake_flood(address: str, port: str, public_key: str) -> None:
    """Send initiations with the right mac1 and no mac2, from 200 addresses, until it is killed.

    It sends 2,000 at once, which fill a device's queue, and at most 5,000 a second.
    """
    key = hashlib.blake2s(b"mac1----" + base64.b64decode(public_key)).digest()
    senders = []
    for number in range(200):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.bind((f"127.7.{number}.{number + 1}", 0))
        senders.append(sender)
    print("ready", flush=True)
    source, sent, started = random.Random(4), 0, time.monotonic()
    while True:
        if sent % 2000 == 0 and sent > (time.monotonic() - started) * 5000:
            time.sleep(0.002)
            continue
        message = b"\1\0\0\0" + source.randbytes(112)
        mac1 = hashlib.blake2s(message, key=key, digest_size=16).digest()
        senders[sent % 200].sendto(message + mac1 + bytes(16), (address, int(port)))
        sent += 1


def packet_garbage(interface: str, count: str) -> None:
    """Send packets on an interface that no IP stack would send."""
    print("ready", flush=True)
    source, sent = random.Random(3), 0
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as sender:
        for number in range(int(count)):
            data = bytearray(source.randbytes(number % 100 + 1))
            data[0] = source.choice((0x45, 0x4F, 0x60, 0x00, 0xFF))
            if len(data) >= 20 and number % 2:
                data[16:20] = socket.inet_aton("10.1.0.2")
            protocol = source.choice((0x0800, 0x86DD))
            sent += send_when_there_is_room(sender, data, (interface, protocol))
    print(json.dumps({"sent": sent}))


def send_when_there_is_room(sender: socket.socket, data: bytearray, to: tuple[str, int]) -> bool:
    """Send a packet, again while the interface's queue is full; return whether it was accepted."""
    while True:
        try:
            return sender.sendto(data, to) > 0
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                return False
            time.sleep(0.001)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])

"""Numbered datagrams: the number determines the bytes, so the receiver can detect any change.

`traffic` runs these programs by name, inside hosts.
"""

from __future__ import annotations

import json
import random
import socket
import sys
import time
from contextlib import suppress

TRAIN, WHOLE = 16, 64
"""The first TRAIN of every WHOLE datagrams have one size and leave in one segmented send."""
POOL = random.Random(7).randbytes(1 << 17)
LAST = (1 << 64) - 1
SILENCE = 8.0
"""Seconds after which the receiver stops, because the end must have been lost."""
UDP_SEGMENT = 103  # linux/udp.h
LARGEST = {socket.AF_INET: 65_507, socket.AF_INET6: 65_527}


def datagram(number: int, largest: int) -> bytes:
    """Return the datagram with this number."""
    source = random.Random(number)
    size = source.choice(
        (8, 64, 1300, source.randrange(8, 1500), source.randrange(8, 9000), largest)
    )
    if number % WHOLE < TRAIN:
        size = 1200
    start = source.randrange(1 << 16)
    return number.to_bytes(8, "big") + POOL[start : start + size - 8]


def datagrams_send(address: str, port: str, seconds: str) -> None:
    """Send numbered datagrams for some time, despite errors of the system, and then the end."""
    print("ready", flush=True)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    end, number, refused = time.monotonic() + float(seconds), 0, 0
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.connect((address, int(port)))
        while time.monotonic() < end:
            time.sleep(0.005)
            pieces = [datagram(number + more, LARGEST[family]) for more in range(WHOLE)]
            refused += not sent(sender, b"".join(pieces[:TRAIN]), len(pieces[0]))
            refused += sum(not sent(sender, piece) for piece in pieces[TRAIN:])
            number += WHOLE
        for _ in range(10):
            sent(sender, LAST.to_bytes(8, "big"))
            time.sleep(0.05)
    print(json.dumps({"sent": number, "refused": refused}))


def sent(sender: socket.socket, data: bytes, segment: int = 0) -> bool:
    """Return whether the system accepts it; segmented sends need a device with checksums."""
    control = [(socket.IPPROTO_UDP, UDP_SEGMENT, segment.to_bytes(2, sys.byteorder))]
    try:
        return sender.sendmsg([data], control if segment else []) > 0
    except OSError:
        return False


def datagrams_receive(address: str, port: str) -> None:
    """Compare every received datagram with the one that was sent, until the end arrives."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    right, wrong, again, largest = set[int](), 0, 0, 0
    with socket.socket(family, socket.SOCK_DGRAM) as receiver, suppress(TimeoutError):
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        receiver.bind((address, int(port)))
        receiver.settimeout(SILENCE)
        print("ready", flush=True)
        while (number := int.from_bytes((data := receiver.recv(1 << 16))[:8], "big")) != LAST:
            if data != datagram(number, LARGEST[family]):
                wrong += 1
            elif number in right:
                again += 1
            else:
                right.add(number)
                largest = max(largest, len(data))
    print(json.dumps({"right": len(right), "wrong": wrong, "again": again, "largest": largest}))

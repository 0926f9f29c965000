"""Programs for the host at an end: `python inside.py NAME ARGUMENT...`; see each."""

from __future__ import annotations

import json
import socket
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def send(*payloads: str) -> None:
    """Send a datagram with each payload to the far end."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("10.77.0.1", 0))
        for payload in payloads:
            sender.sendto(payload.encode(), ("10.77.0.2", 9))


def send_marked(tos: str) -> None:
    """Send a datagram with a traffic class."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, int(tos))
        sender.sendto(b"marked", ("10.77.0.2", 9))


def receive(count: str) -> None:
    """Print payload and traffic class of so many datagrams to port 9."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        receiver.bind(("10.77.0.1", 9))
        receiver.settimeout(30)
        print("ready", flush=True)
        got = []
        for _ in range(int(count)):
            data, control, _, _ = receiver.recvmsg(65535, 64)
            got.append((data.decode(), control[0][2][0]))
    print(json.dumps(got))


PROGRAMS: dict[str, Callable[..., None]] = {
    "send": send,
    "send_marked": send_marked,
    "receive": receive,
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*sys.argv[2:])

"""A link between two devices that loses, duplicates, corrupts and delays datagrams.

`traffic` runs it by name, inside a host. It is in Python because not every kernel has netem.
"""

from __future__ import annotations

import json
import random
import select
import socket

Address = tuple[str, int]


class Impairment:
    """One direction: of 100 datagrams, one is lost, one duplicated, one corrupted, two late."""

    def __init__(self, seed: int) -> None:
        self.source = random.Random(seed)
        self.late: list[bytes] = []
        self.damaged = 0

    def apply(self, data: bytes) -> list[bytes]:
        """Return the datagrams that leave the link when this one enters."""
        match self.source.randrange(100):
            case 0:
                return []
            case 1:
                return [data, data]
            case 2:
                index = self.source.randrange(len(data))
                self.damaged += 1
                bit = 1 << self.source.randrange(8)
                return [data[:index] + bytes([data[index] ^ bit]) + data[index + 1 :]]
            case 3 | 4:
                self.late.append(data)
                return []
            case 5 | 6:
                late, self.late = self.late, []
                return [data, *late]
            case _:
                return [data]


def lossy_link(address: str, listen_port: str, source_port: str, remote_port: str) -> None:
    """Forward between senders to `listen_port` and `remote_port`, which sees `source_port`.

    An empty datagram ends it.
    """
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as inward,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outward,
    ):
        for one, port in ((inward, listen_port), (outward, source_port)):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            one.bind((address, int(port)))
        targets: dict[socket.socket, Address] = {outward: (address, int(remote_port))}
        impairments = {inward: Impairment(1), outward: Impairment(2)}
        print("ready", flush=True)
        ended = False
        while not ended:
            for one in select.select([inward, outward], [], [])[0]:
                data, sender = one.recvfrom(1 << 16)
                ended = ended or not data
                if one is inward:
                    targets[inward] = sender
                other = outward if one is inward else inward
                for piece in impairments[one].apply(data) if data and other in targets else []:
                    other.sendto(piece, targets[other])
    print(json.dumps({"damaged": sum(each.damaged for each in impairments.values())}))

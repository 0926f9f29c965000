"""The far end of a tunnel, written out: a UDP socket and the transport format of the paper, 5.4.6.

It shares no code with the plane, and can break the protocol.
"""

from __future__ import annotations

import hashlib
import socket
import struct
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from native.ends import KEYS, PUBLIC_KEYS

TRANSPORT = 4
INDEX = 20
"""What the near end calls us; it is 10 to us."""


class Far:
    """End 2, for a near end that is number 1."""

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((address, 0))
        self.socket.settimeout(30)
        self.near = (address, port)
        self.counter = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    @property
    def port(self) -> int:
        port: int = self.socket.getsockname()[1]
        return port

    def seal(self, inner: bytes, counter: int | None = None, index: int = 10) -> bytes:
        if counter is None:
            counter = self.counter
            self.counter += 1
        text = inner + bytes(-len(inner) % 16)
        sealed = ChaCha20Poly1305(KEYS[1]).encrypt(struct.pack("<4xQ", counter), text, b"")
        return struct.pack("<IIQ", TRANSPORT, index, counter) + sealed

    def send(self, datagram: bytes, address: str | None = None) -> None:
        self.socket.sendto(datagram, (address or self.near[0], self.near[1]))

    def receive(self) -> bytes:
        return self.socket.recv(65535)

    def open(self, datagram: bytes | None = None) -> tuple[int, bytes]:
        """Counter and padded plaintext of a transport message to us."""
        datagram = self.receive() if datagram is None else datagram
        kind, index, counter = struct.unpack_from("<IIQ", datagram)
        assert (kind, index) == (TRANSPORT, INDEX)
        try:
            text = ChaCha20Poly1305(KEYS[0]).decrypt(
                struct.pack("<4xQ", counter), datagram[16:], b""
            )
        except InvalidTag:
            raise AssertionError("the near end seals differently") from None
        return counter, text

    def silent(self) -> bool:
        """Return whether nothing has arrived."""
        self.socket.setblocking(False)
        try:
            self.socket.recv(65535)
        except BlockingIOError:
            return True
        finally:
            self.socket.settimeout(30)
        return False


def with_macs(message: bytes) -> bytes:
    """A handshake message with the mac1 that end 1 expects, and no mac2."""
    key = hashlib.blake2s(b"mac1----" + PUBLIC_KEYS[0]).digest()
    return message + hashlib.blake2s(message, key=key, digest_size=16).digest() + bytes(16)


def initiation(sender: int = 5) -> bytes:
    return struct.pack("<II", 1, sender) + bytes(108)


def response(receiver: int, sender: int = 5) -> bytes:
    return struct.pack("<III", 2, sender, receiver) + bytes(48)


def checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data[: len(data) & ~1]))
    total += data[-1] << 8 if len(data) % 2 else 0
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp_packet(
    payload: bytes, port: int = 9, source: str = "10.77.0.2", tos: int = 0, length: int = 0
) -> bytes:
    """An inner IPv4 packet to end 1; `length` lies about its own."""
    addresses = socket.inet_aton(source) + socket.inet_aton("10.77.0.1")
    size = 8 + len(payload)
    udp = struct.pack(">HHHH", 9, port, size, 0) + payload
    total = checksum(addresses + struct.pack(">HH", 17, size) + udp) or 0xFFFF
    udp = udp[:6] + struct.pack(">H", total) + udp[8:]
    header = struct.pack(">BBHHHBBH8s", 0x45, tos, length or 20 + size, 1, 0, 64, 17, 0, addresses)
    header = header[:10] + struct.pack(">H", checksum(header)) + header[12:]
    return header + udp

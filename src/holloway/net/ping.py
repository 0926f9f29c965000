"""ICMP echo over the kernel's ping sockets (icmp(7)), which need no privilege.

Writes and checks the messages of RFC 792 and RFC 4443; `kernel` uses it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from typing import TYPE_CHECKING, Final

from holloway.net.stack import family_of

if TYPE_CHECKING:
    from collections.abc import Callable


async def kernel_ping(
    make_socket: Callable[[int, int, int], socket.socket], address: str, timeout: float
) -> float:
    """Send an echo request and return the seconds to its answer; `make_socket` makes the socket."""
    family = family_of(address)
    protocol = socket.IPPROTO_ICMP if family == socket.AF_INET else socket.IPPROTO_ICMPV6
    with make_socket(family, socket.SOCK_DGRAM, protocol) as sock:
        sock.setblocking(False)
        # So that "unreachable" raises an error (ip(7), IP_RECVERR).
        if family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
        sock.connect((address, 0))
        async with asyncio.timeout(timeout):
            return await _exchange(sock, ECHO[family])


async def _exchange(sock: socket.socket, kind: int) -> float:
    loop = asyncio.get_running_loop()
    token = os.urandom(16)
    began = time.perf_counter()
    # The kernel fills in checksum and identifier.
    await loop.sock_sendall(sock, HEADER.pack(kind, 0, 0, 0, 1) + token)
    while not _is_reply_untrusted(await loop.sock_recv(sock, RECEIVE_SIZE), token):
        pass
    return time.perf_counter() - began


def _is_reply_untrusted(message: bytes, token: bytes) -> bool:
    return message[HEADER.size :] == token


HEADER: Final = struct.Struct(">BBHHH")
ECHO: Final = {socket.AF_INET: 8, socket.AF_INET6: 128}
IP_RECVERR: Final = 11  # linux/in.h
IPV6_RECVERR: Final = 25  # linux/in6.h
RECEIVE_SIZE: Final = 2048

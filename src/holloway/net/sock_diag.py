"""Ends every TCP and UDP socket of a namespace with an error, whoever holds it (sock_diag(7)).

Closing an interface leaves its sockets waiting for minutes; SOCK_DESTROY resets them at once, as
`ss --kill` does. Knows the bytes of linux/inet_diag.h and nothing else; `kernel` uses it.
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator


def destroy_sockets(sock: socket.socket) -> bool:
    """Abort all sockets of the namespace that `sock` (NETLINK_SOCK_DIAG) is of.

    They fail with ECONNABORTED, and TCP connections are reset. Returns False where the kernel
    cannot (no CONFIG_INET_DIAG_DESTROY) or we may not.
    """
    is_complete = True
    for family in (socket.AF_INET, socket.AF_INET6):
        for protocol in (socket.IPPROTO_TCP, socket.IPPROTO_UDP):
            for sockid in list(_sockets(sock, family, protocol)):
                is_complete = _destroy(sock, family, protocol, sockid) and is_complete
    return is_complete


def _sockets(sock: socket.socket, family: int, protocol: int) -> Iterator[bytes]:
    """The identities of all sockets, as the kernel writes them."""
    states = ALL_STATES & ~(1 << TIME_WAIT)
    request = INET_DIAG_REQ_V2.pack(family, protocol, 0, states, bytes(SOCKID_SIZE))
    sock.send(_message(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, request))
    while True:
        for kind, body in _messages(sock.recv(RECEIVE_SIZE)):
            if kind != SOCK_DIAG_BY_FAMILY:
                return
            yield body[4 : 4 + SOCKID_SIZE]


def _destroy(sock: socket.socket, family: int, protocol: int, sockid: bytes) -> bool:
    request = INET_DIAG_REQ_V2.pack(family, protocol, 0, ALL_STATES, sockid)
    sock.send(_message(SOCK_DESTROY, NLM_F_ACK, request))
    (_, body), *_ = _messages(sock.recv(RECEIVE_SIZE))
    error: int = -NLMSGERR.unpack_from(body)[0]
    return error in {0, errno.ENOENT, errno.ENOTCONN}  # gone meanwhile is as good


def _message(kind: int, flags: int, body: bytes) -> bytes:
    return NLMSGHDR.pack(NLMSGHDR.size + len(body), kind, NLM_F_REQUEST | flags, 0, 0) + body


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= NLMSGHDR.size:
        length, kind, *_ = NLMSGHDR.unpack_from(data)
        yield kind, data[NLMSGHDR.size : length]
        data = data[(length + 3) & ~3 :]


NLMSGHDR: Final = struct.Struct("=IHHII")  # nlmsghdr
NLMSGERR: Final = struct.Struct("=i")  # nlmsgerr
INET_DIAG_REQ_V2: Final = struct.Struct("=BBBxI48s")  # inet_diag_req_v2
SOCKID_SIZE: Final = 48  # inet_diag_sockid
NLM_F_REQUEST: Final = 0x1
NLM_F_ACK: Final = 0x4
NLM_F_DUMP: Final = 0x300
SOCK_DIAG_BY_FAMILY: Final = 20
SOCK_DESTROY: Final = 21
ALL_STATES: Final = 0xFFF
TIME_WAIT: Final = 6  # net/tcp_states.h
RECEIVE_SIZE: Final = 1 << 16

"""The TCP and UDP sockets of a namespace, whoever holds them: sock_diag(7).

Closing an interface leaves its sockets waiting for minutes; SOCK_DESTROY resets them at once, as
`ss --kill` does: `destroy_sockets`, which `net.kernel` uses. `owner` says whose a socket is, for
`proxy`.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
from typing import TYPE_CHECKING, Final

from holloway.netlink.attributes import protocol_error
from holloway.netlink.socket import NETLINK_SOCK_DIAG, NetlinkSocket

if TYPE_CHECKING:
    Address = tuple[str, int]


def destroy_sockets(sock: socket.socket) -> bool:
    """Abort all sockets of the namespace that `sock` (NETLINK_SOCK_DIAG) belongs to.

    They fail with ECONNABORTED, and TCP connections are reset. Returns False where the kernel
    cannot (no CONFIG_INET_DIAG_DESTROY) or we may not; raises OSError.
    """
    results: set[int] = set()
    with NetlinkSocket(NETLINK_SOCK_DIAG, sock) as kernel:
        for family in (socket.AF_INET, socket.AF_INET6):
            for protocol in (socket.IPPROTO_TCP, socket.IPPROTO_UDP):
                requests = [
                    _request(family, protocol, ALL_STATES, sockid)
                    for sockid in _sockids(kernel, family, protocol)
                ]
                results.update(kernel.batch(SOCK_DESTROY, requests))
    # A socket that is gone meanwhile is as good as destroyed.
    return results <= {0, errno.ENOENT, errno.ENOTCONN}


def owner(protocol: int, local: Address, remote: Address) -> int | None:
    """Return the user ID of a socket of this host, None if there is none; raises OSError.

    The socket is connected to `remote`; one of UDP may also be unconnected. A kernel without UDP's
    part of sock_diag has no sockets.
    """
    family = socket.AF_INET6 if ":" in local[0] else socket.AF_INET
    # For UDP the kernel looks for the receiver of a datagram, and takes its sender first.
    ends = (remote, local) if protocol == socket.IPPROTO_UDP else (local, remote)
    ports = (port for _, port in ends)
    addresses = (socket.inet_pton(family, host) for host, _ in ends)
    sockid = SOCKID.pack(*ports, *addresses, 0, NO_COOKIE)
    with NetlinkSocket(NETLINK_SOCK_DIAG) as kernel:
        try:
            answer, *_ = kernel.request(
                SOCK_DIAG_BY_FAMILY, _request(family, protocol, ALL_STATES, sockid)
            )
        except FileNotFoundError:
            return None
    if len(answer) < UID_OFFSET + 4:
        raise protocol_error()
    # Where no connection has these addresses, the kernel returns a listener that has the local one.
    return (
        None if answer[1] == TCP_LISTEN else int.from_bytes(answer[UID_OFFSET:][:4], sys.byteorder)
    )


def _sockids(kernel: NetlinkSocket, family: int, protocol: int) -> list[bytes]:
    """List the identities of all sockets, as the kernel writes them."""
    states = ALL_STATES & ~(1 << TCP_TIME_WAIT)
    request = _request(family, protocol, states, bytes(SOCKID_SIZE))
    try:
        return [_sockid(answer) for answer in kernel.dump(SOCK_DIAG_BY_FAMILY, request)]
    except FileNotFoundError:
        return []  # the kernel has no such sockets, as IPv6 where it was built without


def _sockid(answer: bytes) -> bytes:
    sockid = answer[SOCKID_OFFSET : SOCKID_OFFSET + SOCKID_SIZE]
    if len(sockid) < SOCKID_SIZE:
        raise protocol_error()
    return sockid


def _request(family: int, protocol: int, states: int, sockid: bytes) -> bytes:
    return INET_DIAG_REQ_V2.pack(family, protocol, 0, states, sockid)


# linux/inet_diag.h
INET_DIAG_REQ_V2: Final = struct.Struct("=BBBxI48s")  # struct inet_diag_req_v2
SOCKID_OFFSET: Final = 4  # struct inet_diag_msg
UID_OFFSET: Final = 64  # idiag_uid
SOCKID_SIZE: Final = 48  # struct inet_diag_sockid
SOCKID: Final = struct.Struct(">HH16s16sIQ")
NO_COOKIE: Final = (1 << 64) - 1  # INET_DIAG_NOCOOKIE, twice
# linux/sock_diag.h
SOCK_DIAG_BY_FAMILY: Final = 20
SOCK_DESTROY: Final = 21
# net/tcp_states.h
ALL_STATES: Final = 0xFFF
TCP_TIME_WAIT: Final = 6
TCP_LISTEN: Final = 10

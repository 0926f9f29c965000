"""Which sockets and addresses belong inside a tunnel, and how a socket made outside gets there.

Programs and libraries make sockets before they say where to. `loop` and the adapter for trio
replace one by a socket inside the tunnel once its address says that it belongs there. Loopback
addresses are always this machine's.
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any, Final

from holloway.net.inner_socket import InnerSocket
from holloway.net.patch import outside
from holloway.net.stack import WILDCARDS
from holloway.text.address import is_localhost, numeric

if TYPE_CHECKING:
    from holloway.net.blocking import BlockingNetwork


def is_loopback(host: Any) -> bool:
    """Whether a host is this machine itself: a loopback address or a name of RFC 6761, 6.3."""
    text = host.decode("ascii", "replace") if isinstance(host, bytes | bytearray) else str(host)
    number = numeric(text)
    if number is None:
        return is_localhost(text)
    mapped = number.ipv4_mapped if number.version == 6 else None
    return (mapped or number).is_loopback


def is_outside(sock: socket.socket) -> bool:
    """Whether an IP socket was made outside of tunnels: in this process's network namespace."""
    if isinstance(sock, InnerSocket) or sock.family not in IP_FAMILIES:
        return False
    with contextlib.suppress(OSError), outside(), socket.socket(sock.family) as ours:
        return _namespace_of(sock) == _namespace_of(ours)
    return True  # Linux before 5.14 cannot say


def is_free(sock: socket.socket) -> bool:
    """Whether an IP socket neither is connected nor bound to an address of its own."""
    with contextlib.suppress(OSError):
        sock.getpeername()
        return False
    return sock.getsockname()[0] in WILDCARDS.values()


def replace(network: BlockingNetwork, sock: socket.socket) -> socket.socket:
    """Return a socket inside the tunnel with the options and the address of one outside."""
    inner = network.socket(sock.family, sock.type, sock.proto)
    try:
        copy_options(sock, inner)
        inner.settimeout(sock.gettimeout())
        if (address := bound_address(sock)) is not None:
            inner.bind(address)
    except BaseException:
        inner.close()
        raise
    return inner


def bound_address(sock: socket.socket) -> Any:
    """Return the address that an IP socket is bound to, None if it is not bound."""
    address = sock.getsockname()
    return address if address[1] else None


def copy_options(source: socket.socket, target: socket.socket) -> None:
    """Give a socket the options that programs set on the other one before they use it."""
    for level, option in OPTIONS:
        with contextlib.suppress(OSError):  # not an option of this type or family
            value = source.getsockopt(level, option)
            if value != target.getsockopt(level, option):
                target.setsockopt(level, option, value)


def nameinfo_flags(sockaddr: Any, flags: int) -> int:
    """Return flags of `getnameinfo` with which the system asks nobody about a tunnel's address."""
    if is_loopback(sockaddr[0]):
        return flags
    if flags & socket.NI_NAMEREQD:
        raise socket.gaierror(socket.EAI_NONAME, "a tunnel has no names of addresses")
    return flags | socket.NI_NUMERICHOST


def _namespace_of(sock: socket.socket) -> bytes:
    return sock.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8)


SO_NETNS_COOKIE: Final = 71  # asm-generic/socket.h
IP_FAMILIES: Final = {socket.AF_INET, socket.AF_INET6}
OPTIONS: Final = (
    (socket.SOL_SOCKET, socket.SO_REUSEADDR),
    (socket.SOL_SOCKET, socket.SO_REUSEPORT),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    (socket.SOL_SOCKET, socket.SO_BROADCAST),
    (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
)

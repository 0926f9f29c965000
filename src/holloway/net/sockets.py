"""How a kernel socket is connected and made to listen, whatever namespace it lives in.

Used for those of a private namespace (`kernel`) and, by `proxy`, for the host's own. What fails is
closed.
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from socket import socket as Socket  # noqa: N812  # as in `stack`


async def connect(
    sock: Socket,
    address: tuple[Any, ...],
    *,
    source: tuple[Any, ...] | None = None,
) -> Socket:
    """Connect a fresh socket, non-blocking from then on; raises OSError in the system's words."""
    try:
        sock.setblocking(False)
        if source is not None:
            sock.bind(source)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException as error:
        sock.close()
        if isinstance(error, OSError) and error.errno is not None:
            # asyncio's words name the call and not the reason.
            raise OSError(error.errno, os.strerror(error.errno)) from None
        raise
    return sock


def listen(sock: Socket, address: tuple[Any, ...], backlog: int) -> Socket:
    """Have a fresh TCP socket listen, non-blocking, on its own family alone; raises OSError."""
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return sock

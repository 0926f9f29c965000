"""Sockets of the userspace stack that are of a subclass of `socket.socket` as well.

Libraries derive from `socket.socket`, and so does `ssl.SSLSocket`. An object of theirs becomes one
of a class with both bases: first theirs, then ours in place of `socket.socket`. `patch` uses this.
"""

from __future__ import annotations

import socket
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from holloway.net.inner_socket import InnerSocket
from holloway.net.inner_stream import StreamSocket, UnconnectedSocket

if TYPE_CHECKING:
    import ssl


def adopt(sock: socket.socket, made: InnerSocket) -> None:
    """Make an object of a subclass, which has no descriptor yet, what `made` is; it ends `made`.

    Raises TypeError for a class that Python cannot combine with ours.
    """
    kinds: tuple[Any, Any] = type(sock), type(made)
    adopted: Any = sock
    adopted.__class__ = _both(*kinds)
    InnerSocket.__init__(adopted, socket.AF_UNIX, made.PAIR, 0, fileno=made.fileno())
    made.detach()
    _take_over(sock, made)


def wrap(  # noqa: PLR0913, PLR0917  # those of `SSLContext.wrap_socket`
    context: ssl.SSLContext,
    sock: UnconnectedSocket,
    server_side: bool = False,
    do_handshake_on_connect: bool = True,
    suppress_ragged_eofs: bool = True,
    server_hostname: str | None = None,
    session: ssl.SSLSession | None = None,
) -> ssl.SSLSocket:
    """Do what `SSLContext.wrap_socket` does, for a socket that is not connected."""
    kinds: tuple[Any, Any] = context.sslsocket_class, type(sock)
    wrapped: ssl.SSLSocket = _both(*kinds)._create(
        sock=sock,
        server_side=server_side,
        do_handshake_on_connect=do_handshake_on_connect,
        suppress_ragged_eofs=suppress_ragged_eofs,
        server_hostname=server_hostname,
        context=context,
        session=session,
    )
    _take_over(wrapped, sock)
    return wrapped


def _take_over(sock: socket.socket, former: InnerSocket) -> None:
    vars(sock).update(vars(former))
    sock.settimeout(former.gettimeout())


@lru_cache(maxsize=64)
def _both(theirs: Any, ours: type[InnerSocket]) -> Any:
    names: dict[str, Any] = {"__module__": theirs.__module__, "__qualname__": theirs.__qualname__}
    if ours is UnconnectedSocket:
        names["CONNECTED"] = _both(theirs, StreamSocket)
    return type(theirs.__name__, (theirs, ours), names)

"""How sockets connect, listen and accept: those of both stacks and, for `proxy`, the host's own.

A socket is closed if what was asked of it fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
from typing import TYPE_CHECKING, Any, Final

from holloway.net.closing_socket import ClosingSocket
from holloway.net.owner import require_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from socket import socket as Socket  # noqa: N812  # as in `stack`

    from holloway.net.stack import Address

log = logging.getLogger(__name__)


async def connect(
    sock: Socket,
    address: tuple[Any, ...],
    *,
    source: tuple[Any, ...] | None = None,
) -> Socket:
    """Connect a new socket to a numeric address, and make it non-blocking; raises OSError."""
    try:
        if source is not None:
            sock.bind(source)
        start_connecting(sock, address)
        await _writable(sock.fileno())
        if number := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(number, os.strerror(number))
    except BaseException:
        sock.close()
        raise
    return sock


async def _writable(fd: int) -> None:
    """Wait until a descriptor is writable. The loop's `sock_connect` takes twice the time."""
    loop = asyncio.get_running_loop()
    waiting = loop.create_future()
    loop.add_writer(fd, _wake, waiting)
    try:
        await waiting
    finally:
        loop.remove_writer(fd)


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


def start_connecting(sock: Socket, address: tuple[Any, ...] | str) -> Socket:
    """Begin to connect a new socket to a numeric address, without waiting; raises OSError."""
    try:
        sock.setblocking(False)
        number = sock.connect_ex(address)
        if number not in (0, errno.EINPROGRESS):
            raise OSError(number, os.strerror(number))
    except BaseException:
        sock.close()
        raise
    return sock


def listen(
    make: Callable[[str], Socket],
    addresses: Iterable[tuple[Any, ...]],
    backlog: int,
    *,
    reuse_port: bool = False,
) -> list[Socket]:
    """Listen on each address, with a new socket for its host; raises OSError, and then on none.

    Where the port is 0, all have the one that the system chooses for the first.
    """
    listening: list[Socket] = []
    try:
        for host, port, *rest in addresses:
            chosen = port or (listening[0].getsockname()[1] if listening else 0)
            sock = make(host)
            start_listening(sock, (host, chosen, *rest), backlog, reuse_port=reuse_port)
            listening.append(sock)
    except BaseException:
        for sock in listening:
            stop_listening(sock)
        raise
    return listening


def start_listening(
    sock: Socket, address: tuple[Any, ...], backlog: int, *, reuse_port: bool = False
) -> None:
    """Let a new TCP socket listen, on its own family only; raises OSError."""
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise


def stop_listening(sock: Socket) -> None:
    """Close a listening socket, so that its port is free.

    Closing alone is not enough while another process has a copy of the descriptor, as the helper of
    a namespace has for a moment.
    """
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RD)
    sock.close()


async def accept(listener: Listener) -> tuple[Socket, Address]:
    """Accept a connection; raises OSError once the listener can accept no more.

    A connection that failed before it was accepted is skipped. Without descriptors or memory it
    tries again, until another connection ends and leaves room.
    """
    has_warned = False
    while True:
        try:
            return await listener.accept()
        except OSError as error:
            if error.errno in OUT_OF_RESOURCES:
                if not has_warned:
                    log.warning("New connections have to wait: %s", error.strerror)
                    has_warned = True
                await asyncio.sleep(RETRY_SECONDS)
            elif error.errno not in TRANSIENT_ERRORS:
                raise


class Listener:
    """A listening TCP port, of either stack or of the host."""

    def __init__(
        self, listening: Socket, on_accept: Callable[[Socket], None] | None = None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = listening
        self._fd = listening.fileno()
        self._owner = os.getpid()
        self._on_accept = on_accept
        self._waiting: set[asyncio.Future[None]] = set()
        self._address: Address = listening.getsockname()
        self._kind = int(listening.family), int(listening.type), listening.proto

    @property
    def address(self) -> Address:
        """The address that it listens on; the system chooses the port if 0 was asked for."""
        return self._address

    @property
    def socket(self) -> Socket:
        """The listening socket."""
        return self._socket

    def accept_now(self) -> tuple[Socket, Address] | None:
        """Accept a connection if one waits. What fails fails again in `accept`."""
        try:
            return self._accept()
        except OSError:
            return None

    async def accept(self) -> tuple[Socket, Address]:
        """Wait for a connection; returns a non-blocking socket and the client's address.

        Raises OSError once the listener or the stack is closed. Cancelling it loses no connection.
        """
        require_loop(self._loop, "the listener")
        while True:
            try:
                return self._accept()
            except BlockingIOError:
                await self._readable()

    def close(self) -> None:
        """Stop listening; a waiting `accept` raises OSError, accepted connections stay open."""
        if os.getpid() == self._owner:
            if self._waiting:
                self._loop.remove_reader(self._fd)
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_exception(OSError(errno.EBADF, "the listener is closed"))
            self._waiting.clear()
            stop_listening(self._socket)
        else:
            self._socket.close()

    def _accept(self) -> tuple[Socket, Address]:
        connection, address = self._socket.accept()
        if not isinstance(connection, ClosingSocket):
            connection = ClosingSocket(*self._kind, fileno=connection.detach())
        connection.setblocking(False)
        if self._on_accept is not None:
            self._on_accept(connection)
        return connection, address

    async def _readable(self) -> None:
        waiting = self._loop.create_future()
        if not self._waiting:
            self._loop.add_reader(self._fd, self._wake)
        self._waiting.add(waiting)
        try:
            await waiting
        finally:
            self._waiting.discard(waiting)
            if not self._waiting and self._socket.fileno() >= 0:
                self._loop.remove_reader(self._fd)

    def _wake(self) -> None:
        for waiting in self._waiting:
            _wake(waiting)


OUT_OF_RESOURCES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
TRANSIENT_ERRORS: Final = frozenset({
    errno.ECONNABORTED, errno.EPERM, errno.EPROTO, errno.ENOPROTOOPT, errno.EHOSTDOWN,
    errno.EHOSTUNREACH, errno.EOPNOTSUPP, errno.ENETUNREACH,
})  # fmt: skip
"""accept(2): errors of one connection, after which the next one may succeed."""
RETRY_SECONDS: Final = 0.1

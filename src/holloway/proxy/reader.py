"""Reads messages of unknown length from a client's socket, and leaves what follows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from holloway.errors import BadMessage

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

    from holloway.proxy.readiness import Readiness

T = TypeVar("T")

CHUNK = 16 * 1024

MAX_READS = 1000
"""Each read parses all bytes so far: a long request sent byte by byte would cost seconds."""


class Reader:
    """Buffers the bytes of a client that no parser has taken yet."""

    def __init__(self, sock: socket, readiness: Readiness) -> None:
        self.socket = sock
        self._readiness = readiness
        self._buffer = b""

    async def read(self, parse: Callable[[bytes], tuple[T, int] | None]) -> T:
        """Read until `parse` finds a message, and take its bytes from the buffer.

        `parse` gets all bytes so far. It returns None while they are too few, or the message and
        its length; it raises BadMessage if they are too many. BadMessage is also raised if the
        client ends before.
        """
        reads = 0
        while (found := parse(self._buffer)) is None:
            reads += 1
            if reads > MAX_READS:
                raise BadMessage("the client sends its request in too many small pieces")
            chunk = await self._receive()
            if not chunk:
                raise BadMessage("the client ended within its request")
            self._buffer += chunk
        message, size = found
        self._buffer = self._buffer[size:]
        return message

    async def more(self) -> bytes:
        """Return what is in the buffer, or else the next bytes; empty at the end."""
        return self.rest() or await self._receive()

    def rest(self) -> bytes:
        """Empty the buffer and return its bytes."""
        rest, self._buffer = self._buffer, b""
        return rest

    async def _receive(self) -> bytes:
        while True:
            try:
                return self.socket.recv(CHUNK)
            except BlockingIOError:
                await self._readiness.readable(self.socket.fileno())

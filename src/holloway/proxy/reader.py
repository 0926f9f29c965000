"""Reads messages of unknown length from a client's socket, no further than a parser lets it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from holloway.errors import BadMessage

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

T = TypeVar("T")

CHUNK = 16 * 1024

MAX_READS = 1000
"""Each looks at all that has come so far: a long request sent byte by byte would cost seconds."""


class Reader:
    """What a client sent and nobody has understood yet."""

    def __init__(self, sock: socket) -> None:
        self._socket = sock
        self._loop = asyncio.get_running_loop()
        self._buffer = b""

    async def read(self, parse: Callable[[bytes], tuple[T, int] | None]) -> T:
        """Read until `parse` finds a message, and take its bytes away.

        `parse` gets all there is, and answers with None while that is too short, or with what it
        found and how long that was; what is too long it refuses. Raises BadMessage, also where the
        client ends before.
        """
        reads = 0
        while (found := parse(self._buffer)) is None:
            reads += 1
            if reads > MAX_READS:
                raise BadMessage("the client sends its request in crumbs")
            chunk = await self._loop.sock_recv(self._socket, CHUNK)
            if not chunk:
                raise BadMessage("the client ended within its request")
            self._buffer += chunk
        message, size = found
        self._buffer = self._buffer[size:]
        return message

    async def more(self) -> bytes:
        """What is there already, else what comes next; empty at the end."""
        return self.rest() or await self._loop.sock_recv(self._socket, CHUNK)

    def rest(self) -> bytes:
        """Take away what is left."""
        rest, self._buffer = self._buffer, b""
        return rest

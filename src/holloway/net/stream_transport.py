"""TCP transports that know the addresses of a socket of the userspace stack, in any event loop.

A loop that makes its own handle from a descriptor, as uvloop does, finds one end of a socket pair
there, which has no addresses. There the transport is wrapped; asyncio's own ask the socket.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from holloway.net.inner_socket import InnerSocket, needs_pair

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable

    Connect = Callable[..., Awaitable[tuple[asyncio.BaseTransport, asyncio.BaseProtocol]]]


async def open_transport(
    connect: Connect,
    factory: Callable[[], asyncio.BaseProtocol],
    sock: socket.socket,
    **options: Any,
) -> tuple[asyncio.BaseTransport, asyncio.BaseProtocol]:
    """Give a connected socket its transport; `connect` is the loop's method for that."""
    if not needs_pair() or not isinstance(sock, InnerSocket):
        return await connect(factory, sock=sock, **options)
    names = {
        "socket": sock,
        "sockname": sock.getsockname(),
        "peername": sock.getpeername(),
    }
    introduction = Introduction(factory, names)
    await connect(lambda: introduction, sock=sock, **options)
    assert introduction.transport is not None
    return introduction.transport, introduction.protocol


class Introduction(asyncio.Protocol):
    """The first protocol of a transport. Introduces the wrapped one to the user's, and goes."""

    def __init__(self, factory: Callable[[], asyncio.BaseProtocol], names: dict[str, Any]) -> None:
        self.protocol = factory()
        self.transport: NamedTransport | None = None
        self._names = names

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = NamedTransport(transport, self._names)
        self.transport.set_protocol(self.protocol)
        self.protocol.connection_made(self.transport)

    def connection_lost(self, error: Exception | None) -> None:
        """The connection has ended before it was made."""


class NamedTransport(asyncio.Transport):
    """A transport with the addresses of its socket; everything else is the wrapped one's."""

    def __init__(self, wrapped: Any, names: dict[str, Any]) -> None:
        super().__init__(names)
        self._wrapped = wrapped
        for name in METHODS:
            setattr(self, name, getattr(wrapped, name))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name in self._extra:
            return self._extra[name]
        return self._wrapped.get_extra_info(name, default)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)


METHODS = (
    "abort", "can_write_eof", "close", "get_protocol", "get_write_buffer_limits",
    "get_write_buffer_size", "is_closing", "is_reading", "pause_reading", "resume_reading",
    "set_protocol", "set_write_buffer_limits", "write", "write_eof", "writelines",
)  # fmt: skip

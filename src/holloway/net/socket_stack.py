"""What both stacks do alike: connect, listen and open UDP ports, with sockets of their own.

Knows only `socket`, by which they differ.
"""

from __future__ import annotations

import asyncio
import socket
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from holloway.net import sockets
from holloway.net.stack import family_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket as Socket  # noqa: N812  # there is a method of that name

    from holloway.net.stack import Address, AnyProtocol


class SocketStack(ABC):
    """See `stack.Stack`."""

    @abstractmethod
    def socket(self, family: int, type: int, proto: int) -> Socket: ...  # noqa: A002

    async def connect(
        self,
        address: Address,
        *,
        type: int,  # noqa: A002
        source: Address | None = None,
    ) -> Socket:
        sock = self.socket(family_of(address[0]), type, 0)
        return await sockets.connect(sock, address, source=source)

    async def listen(
        self, address: Address, *, backlog: int, reuse_port: bool = False
    ) -> sockets.SocketListener:
        sock = self.socket(family_of(address[0]), socket.SOCK_STREAM, 0)
        return sockets.listen(sock, address, backlog, self._accepted, reuse_port=reuse_port)

    def _accepted(self, connection: Socket) -> None:  # noqa: B027  # a stack may need to know
        """Note an accepted connection."""

    async def datagram_endpoint(
        self,
        factory: Callable[[], AnyProtocol],
        *,
        local: Address | None,
        remote: Address | None,
    ) -> tuple[asyncio.DatagramTransport, AnyProtocol]:
        sock = await self.datagram_socket(local, remote)
        try:
            return await self._datagram_transport(factory, sock)
        except BaseException:
            sock.close()
            raise

    async def datagram_socket(self, local: Address | None, remote: Address | None) -> Socket:
        address = local or remote
        assert address is not None
        sock = self.socket(family_of(address[0]), socket.SOCK_DGRAM, 0)
        try:
            sock.setblocking(False)
            if local is not None:
                sock.bind(local)
            if remote is not None:
                sock.connect(remote)
        except BaseException:
            sock.close()
            raise
        return sock

    async def _datagram_transport(
        self, factory: Callable[[], AnyProtocol], sock: Socket
    ) -> tuple[asyncio.DatagramTransport, AnyProtocol]:
        loop = asyncio.get_running_loop()
        return await loop.create_datagram_endpoint(factory, sock=sock)

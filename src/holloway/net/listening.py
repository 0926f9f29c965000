"""What a network listens with: the half of `Network` that waits for others.

Servers as asyncio's, plain listeners, and bound UDP sockets, each on our addresses inside the
tunnel. `Network` is made of it and of `connecting`.
"""

from __future__ import annotations

import asyncio
import errno
import os
from socket import SOCK_STREAM
from typing import TYPE_CHECKING, Unpack, cast

from holloway.net.arguments import checked_port
from holloway.net.sockets import Listener
from holloway.net.stack import wildcards

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from socket import socket as Socket  # noqa: N812  # as in `network`
    from ssl import SSLContext

    from holloway.net.network import Network
    from holloway.net.running import Running
    from holloway.net.server import Server, ServerOptions

    Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None] | None]


class Listening:
    """The methods of `Network` that listen; an empty host means all our addresses."""

    if TYPE_CHECKING:  # `Network` has these
        _own: dict[str, None]

        def _opened(self) -> Running: ...

    async def listen(
        self, port: int = 0, host: str | None = None, *, backlog: int = 100
    ) -> Listener:
        """Listen on one address; without `host` on all of the family of our first one."""
        where = (await self._local_addresses([host] if host else (), 0))[:1]
        (listener,) = self._opened().stack.listen(where, checked_port(port), backlog=backlog)
        return listener

    async def listen_on(
        self,
        hosts: Sequence[str] = (),
        port: int = 0,
        *,
        family: int = 0,
        backlog: int = 100,
        reuse_port: bool = False,
    ) -> list[Listener]:
        """Listen on several addresses, all on one port; without `hosts` on all our addresses.

        A host may be a name, and then all addresses that it has are meant.
        """
        port = checked_port(port)
        addresses = await self._local_addresses(hosts, family)
        stack = self._opened().stack
        return stack.listen(addresses, port, backlog=backlog, reuse_port=reuse_port)

    async def create_server(
        self,
        factory: Callable[[], asyncio.BaseProtocol],
        host: str | Sequence[str] | None = None,
        port: int | None = 0,
        *,
        family: int = 0,
        sock: Socket | None = None,
        backlog: int = 100,
        ssl: SSLContext | None = None,
        reuse_address: bool | None = None,
        reuse_port: bool | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        start_serving: bool = True,
    ) -> Server:
        """Listen, as `loop.create_server` does; without `host` on all our addresses.

        All addresses have one port. Ports are always as with `reuse_address`. Without
        `start_serving`, clients wait until the server starts.
        """
        from holloway.net.server import Server, server_tls, start  # most programs are clients

        del reuse_address
        tls = server_tls(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
        listeners: list[Listener]
        if sock is None:
            hosts = [host] if isinstance(host, str) else host or ()
            listeners = await self.listen_on(
                hosts, port or 0, family=family, backlog=backlog, reuse_port=bool(reuse_port)
            )
        elif host or port:
            raise ValueError("host/port and sock can not be specified at the same time")
        else:
            sock.setblocking(False)
            sock.listen(backlog)
            listeners = [Listener(sock)]
        server = Server(listeners, factory, tls)
        self._opened().servers.add(server)
        if start_serving:
            await start(server)
        return server

    async def start_server(
        self,
        handler: Handler,
        host: str | Sequence[str] | None = None,
        port: int | None = 0,
        *,
        limit: int = 1 << 16,
        **options: Unpack[ServerOptions],
    ) -> Server:
        """Listen, as `asyncio.start_server` does; other arguments as of `create_server`."""
        loop = asyncio.get_running_loop()

        def factory() -> asyncio.StreamReaderProtocol:
            reader = asyncio.StreamReader(limit=limit, loop=loop)
            return asyncio.StreamReaderProtocol(reader, handler, loop=loop)

        return await self.create_server(factory, host, port, **options)

    async def bind_udp(self, port: int = 0, host: str | None = None) -> Socket:
        """Return a non-blocking UDP socket that is bound, for `recvfrom` and `sendto`.

        Without `host` it is bound to all addresses of the family of our first one.
        """
        (where, *_) = await self._local_addresses([host] if host else (), 0)
        return self._opened().stack.datagram_socket((where, checked_port(port)), None)

    async def _local_addresses(self, hosts: Sequence[str], family: int) -> list[str]:
        """Return the addresses to listen on, of one family or of both (0)."""
        from holloway.net.addrinfo import getaddrinfo

        network = cast("Network", self)
        found: list[str] = []
        for host in hosts or ("",):
            if host:
                entries = await getaddrinfo(network, host, None, family, SOCK_STREAM)
                found += [str(address[0]) for *_, address in entries]
            else:
                found += wildcards(self._own, family)
        if not found:
            raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
        return list(dict.fromkeys(found))

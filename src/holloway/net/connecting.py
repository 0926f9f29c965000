"""What a network connects with: the half of `Network` that calls others.

TCP and UDP to a host in the tunnel, by address or by name, as asyncio's functions do, and pings.
`Network` is made of it and of `listening`.
"""

from __future__ import annotations

import asyncio
from socket import SOCK_STREAM
from typing import TYPE_CHECKING, TypedDict, TypeVar, Unpack, cast

from holloway.net.arguments import checked_address, checked_host, checked_port
from holloway.net.no_answer import DNS_PORT, PING_SECONDS, Attempt, explained, no_answer
from holloway.net.renamed import renamed
from holloway.net.stack import family_of, wildcards
from holloway.net.tls import tls_options
from holloway.text.address import numeric

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket as Socket  # noqa: N812  # as in `network`
    from ssl import SSLContext

    from holloway.net.running import Running
    from holloway.net.stack import Address, AnyProtocol


class ConnectOptions(TypedDict, total=False):
    """What `Network.create_connection` and `open_connection` take."""

    ssl: SSLContext | bool | None
    server_hostname: str | None
    ssl_handshake_timeout: float | None
    ssl_shutdown_timeout: float | None
    local_addr: Address | None
    timeout: float | None
    source: Address | None


class Connecting:
    """The methods of `Network` that connect, look names up and ping."""

    if TYPE_CHECKING:  # `Network` has these
        _running: Running | None
        _has_ended: bool
        _own: dict[str, None]

        @property
        def name_servers(self) -> tuple[str, ...]: ...

        @property
        def search_domains(self) -> tuple[str, ...]: ...

        def _opened(self) -> Running: ...

    async def connect(
        self,
        host: str,
        port: int,
        *,
        type: int = SOCK_STREAM,  # noqa: A002
        local_addr: Address | None = None,
        timeout: float | None = None,
        source: Address | None = None,
    ) -> Socket:
        """Return a connected, non-blocking TCP or UDP socket. Tries each address of a name.

        Without a timeout, it waits 20 s for a handshake, then as long as the system's TCP does.
        """
        host, port = checked_host(host), checked_port(port)
        local = renamed("source", source, "local_addr", local_addr)
        local = checked_address(local, "local_addr")
        async with Attempt(timeout, lambda: self._slow_lookup(host)) as attempt:
            first: OSError | None = None
            for address in await self.resolve(host):
                try:
                    running = self._opened()
                    peer = running.check(address)
                    async with attempt.to(running, peer, address, port):
                        return await running.stack.connect((address, port), type=type, source=local)
                except OSError as error:
                    first = first or error
            assert first is not None
            try:
                raise first
            finally:
                first = None  # its traceback refers to this frame, and so to the network

    def start_connecting(self, host: str, port: int) -> Socket | None:
        """Return a TCP socket that is connecting; None if that takes time, as with a name.

        SO_ERROR says how that ended, once the socket is writable. Raises OSError.
        """
        if numeric(host) is None or "%" in host:
            return None
        running = self._opened()
        running.check(host)
        return running.stack.start_connecting((host, port))

    async def open_connection(
        self, host: str, port: int, *, limit: int = 1 << 16, **options: Unpack[ConnectOptions]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect, as `asyncio.open_connection` does; other arguments as of `create_connection`."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=limit, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        options["local_addr"] = renamed(
            "source", options.pop("source", None), "local_addr", options.get("local_addr")
        )
        transport, _ = await self.create_connection(lambda: protocol, host, port, **options)
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    async def create_connection(
        self,
        factory: Callable[[], AnyStreamProtocol],
        host: str,
        port: int,
        *,
        ssl: SSLContext | bool | None = None,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        local_addr: Address | None = None,
        timeout: float | None = None,
        source: Address | None = None,
    ) -> tuple[asyncio.Transport, AnyStreamProtocol]:
        """Connect, as `loop.create_connection` does."""
        local_addr = renamed("source", source, "local_addr", local_addr)
        tls = tls_options(ssl or None, ssl_handshake_timeout, ssl_shutdown_timeout)
        if tls:
            tls["server_hostname"] = server_hostname or host
        connected = await self.connect(host, port, local_addr=local_addr, timeout=timeout)
        try:
            from holloway.net.stream_transport import open_transport  # some take sockets only

            create = asyncio.get_running_loop().create_connection
            made = await open_transport(create, factory, connected, **tls)
            return cast("tuple[asyncio.Transport, AnyStreamProtocol]", made)
        except BaseException:
            connected.close()
            raise

    async def create_datagram_endpoint(
        self,
        factory: Callable[[], AnyProtocol],
        local_addr: Address | None = None,
        remote_addr: Address | None = None,
    ) -> tuple[asyncio.DatagramTransport, AnyProtocol]:
        """Open a UDP port, as `loop.create_datagram_endpoint` does.

        A local address without a host is all addresses of the family of our first one.
        """
        local_addr = checked_address(local_addr, "local_addr")
        remote_addr = checked_address(remote_addr, "remote_addr")
        family = 0
        if remote_addr is not None:
            address = (await self.resolve(remote_addr[0]))[0]
            self._opened().check(address)
            remote_addr = (address, remote_addr[1])
            family = family_of(address)
        if local_addr is not None or remote_addr is None:
            host, port = (local_addr or ("", 0))[:2]
            (default, *_) = wildcards(self._own, family) or wildcards(self._own)
            local_addr = ((await self.resolve(host or default, family=family))[0], port)
        stack = self._opened().stack
        return await stack.datagram_endpoint(factory, local=local_addr, remote=remote_addr)

    async def resolve(self, host: str, *, family: int = 0) -> list[str]:
        """Look a name up with the name servers of `DNS`, through the tunnel.

        Without name servers the system looks it up. Raises socket.gaierror, which is an OSError.
        """
        host = checked_host(host)
        if numeric(host) is not None:
            return [host]
        from holloway.net.resolve import StubResolver  # many programs know the address

        if self._running is not None and not self._has_ended:
            self._running.owner.require_loop()
        # Made for each call: one that is kept would refer to this network, and it to the resolver.
        resolver = StubResolver(
            self.connect,
            lambda server, port: no_answer(self._opened(), server, port),
            self.name_servers,
            self.search_domains,
        )
        return await resolver.resolve(host, family=family)

    async def ping(self, host: str, timeout: float = PING_SECONDS) -> float:
        """Return the seconds until the answer to an ICMP echo request; TimeoutError."""
        address = (await self.resolve(host))[0]
        running = self._opened()
        running.check(address)
        with explained(running, address):
            return await running.stack.ping(address, timeout)

    def _slow_lookup(self, host: str) -> str:
        """Return why a host was not looked up in time."""
        if not self.name_servers:
            return f"looking up {host} took too long"
        return f"looking up {host}: {no_answer(self._opened(), self.name_servers[0], DNS_PORT)}"


AnyStreamProtocol = TypeVar("AnyStreamProtocol", bound=asyncio.BaseProtocol)

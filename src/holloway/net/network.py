"""A peer inside a program: connections and servers inside a tunnel, as asyncio's own functions.

`Network` combines the modules beside it: `settings` reads the configuration, `running` holds the
stack and the tunnel, `resolve` looks names up. A network belongs to one event loop, except for
`socket`, which any thread may call; `blocking` is the same for plain scripts.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from socket import AF_INET, AF_INET6, SOCK_STREAM
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from holloway.net.choose_stack import look_up_endpoints
from holloway.net.errors import network_down
from holloway.net.kernel import KernelStack
from holloway.net.resolve import StubResolver
from holloway.net.running import Running
from holloway.net.server import Server
from holloway.net.settings import Settings, from_arguments, from_config
from holloway.net.stack import BUFFER, MIN_BUFFER, family_of
from holloway.net.stream_transport import open_transport
from holloway.text.address import numeric, site

if TYPE_CHECKING:
    import os
    from collections.abc import Awaitable, Callable, Hashable, Sequence
    from ipaddress import IPv4Address, IPv6Address
    from socket import socket as Socket  # noqa: N812  # there is a method of that name
    from ssl import SSLContext

    from holloway.key import Key
    from holloway.model import Device, DeviceUpdate, Peer, PeerUpdate
    from holloway.net.stack import Address, AnyProtocol, Listener

    Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None] | None]

log = logging.getLogger(__name__)


class Network:
    """A WireGuard peer of this program; an async context manager, or `open` and `close`.

    `stack` is "kernel" or "userspace" to force one; None takes the kernel's where the system
    allows it. `peers` are `Peer` or `PeerUpdate`, `addresses` our own with their prefix lengths,
    `dns` name servers and search domains. `buffer` is how many bytes a TCP connection of the
    userspace stack buffers at most in each direction; the kernel sizes its own buffers.

    Where a method listens, an empty host means all our addresses.
    """

    def __init__(
        self,
        *,
        private_key: Key | str,
        peers: Sequence[Peer | PeerUpdate],
        addresses: Sequence[str],
        dns: Sequence[str] = (),
        mtu: int = 1420,
        listen_port: int = 0,
        stack: str | None = None,
        buffer: int = BUFFER,
        name: str = "holloway",
    ) -> None:
        settings = from_arguments(
            private_key=private_key, peers=peers, addresses=addresses, dns=dns, mtu=mtu,
            listen_port=listen_port, name=name,
        )  # fmt: skip
        self._prepare(settings, stack, buffer)

    @classmethod
    def from_config(
        cls, config: str | os.PathLike[str], *, stack: str | None = None, buffer: int = BUFFER
    ) -> Self:
        """Make one from a wg-quick file's path or text; raises ConfigError and OSError."""
        network = cls.__new__(cls)
        network._prepare(from_config(config), stack, buffer)
        return network

    def _prepare(self, settings: Settings, stack: str | None, buffer: int) -> None:
        if stack not in {None, "kernel", "userspace"}:
            raise ValueError(f"no such stack: {stack!r}")
        if buffer < MIN_BUFFER:
            raise ValueError(f"a buffer holds at least {MIN_BUFFER} bytes: {buffer}")
        self._settings = settings
        self._wanted = stack
        self._buffer = buffer
        self._running: Running | None = None
        self._reason = network_down("the network is not open")
        self._closing: asyncio.Task[None] | None = None
        self.failure: OSError | None = None
        """Why the network ended by itself, if it did."""
        self._servers: weakref.WeakSet[Server] = weakref.WeakSet()
        self._own = dict.fromkeys(str(address.ip) for address in settings.addresses)
        self._resolver = StubResolver(self.connect, settings.servers, settings.domains)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Start; raises OSError, ConfigError, and NoNamespace for a stack that was forced."""
        if self._running is not None:
            raise RuntimeError("a network can be opened only once: make a new one")
        for note in self.notes:
            log.warning("%s", note)
        self._settings = await look_up_endpoints(self._settings)
        self._running = await Running.start(self._settings, self._wanted, self._buffer)
        self.died: asyncio.Future[OSError] = asyncio.get_running_loop().create_future()
        """Done when the network ends by itself; its result is the reason."""
        self._running.died.add_done_callback(lambda died: self._fail(died.result()))

    async def close(self) -> None:
        """End every connection with an error, then the tunnel."""
        self._end(network_down("the network is closed"))
        if self._closing is not None:
            await asyncio.shield(self._closing)

    @property
    def name(self) -> str:
        """The configuration's name."""
        return self._settings.name

    @property
    def stack(self) -> str:
        """`kernel` or `userspace`; see `stack_reason`."""
        return self._opened().stack.name

    @property
    def stack_reason(self) -> str:
        """Why it is this stack; empty before `open`."""
        return "" if self._running is None else self._running.stack_reason

    @property
    def notes(self) -> tuple[str, ...]:
        """Which settings of the configuration do not apply to a single program."""
        return self._settings.notes

    @property
    def addresses(self) -> tuple[str, ...]:
        """Our own addresses."""
        return tuple(self._own)

    @property
    def name_servers(self) -> tuple[str, ...]:
        """The name servers of `DNS`."""
        return self._settings.servers

    @property
    def search_domains(self) -> tuple[str, ...]:
        """The search domains of `DNS`."""
        return self._settings.domains

    @property
    def helper(self) -> int | None:
        """The process in the private namespace; None with the userspace stack."""
        stack = self._opened().stack
        return stack.pid if isinstance(stack, KernelStack) else None

    @property
    def device(self) -> Device:
        """Keys, peers, traffic and handshakes: what `wg show` prints."""
        return self._opened().tunnel.get()

    def set(self, update: DeviceUpdate) -> None:
        """Change peers or keys while connections live; raises OSError and ConfigError."""
        self._opened().tunnel.set(update)

    def has_peer_for(self, address: IPv4Address | IPv6Address) -> bool:
        """Whether a peer has this address in its allowed IPs."""
        return self._opened().tunnel.peer_of(address) is not None

    def source_of(self, host: str) -> Hashable:
        """Return whose an address is: of IPv6, all that one peer has of a /64 is one source."""
        number = numeric(host)
        if number is None or number.version == 4 or self._running is None or self._closing:
            return host
        return self._running.tunnel.peer_of(number), site(number)

    def socket(
        self,
        family: int = AF_INET,
        type: int = SOCK_STREAM,  # noqa: A002
        proto: int = 0,
    ) -> Socket:
        """Make an ordinary socket inside the tunnel, as `socket.socket` does outside.

        The userspace stack has sockets for TCP and UDP only: OSError(EPROTONOSUPPORT).
        """
        return self._opened().stack.socket(family, type, proto)

    async def connect(
        self,
        host: str,
        port: int,
        *,
        type: int = SOCK_STREAM,  # noqa: A002
        source: Address | None = None,
        timeout: float | None = None,
    ) -> Socket:
        """Return a connected, non-blocking TCP or UDP socket. Tries each address of a name."""
        async with asyncio.timeout(timeout):
            first: OSError | None = None
            for address in await self.resolve(host):
                try:
                    running = self._opened()
                    running.check(address)
                    return await running.stack.connect((address, port), type=type, source=source)
                except OSError as error:
                    first = first or error
            assert first is not None
            raise first

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
        self,
        host: str,
        port: int,
        *,
        limit: int = 1 << 16,
        ssl: SSLContext | bool | None = None,
        server_hostname: str | None = None,
        source: Address | None = None,
        timeout: float | None = None,
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect, as `asyncio.open_connection` does."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=limit, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport, _ = await self.create_connection(
            lambda: protocol, host, port, ssl=ssl, server_hostname=server_hostname,
            source=source, timeout=timeout,
        )  # fmt: skip
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    async def create_connection(
        self,
        factory: Callable[[], AnyStreamProtocol],
        host: str,
        port: int,
        *,
        ssl: SSLContext | bool | None = None,
        server_hostname: str | None = None,
        source: Address | None = None,
        timeout: float | None = None,
    ) -> tuple[asyncio.Transport, AnyStreamProtocol]:
        """Connect, as `loop.create_connection` does."""
        connected = await self.connect(host, port, source=source, timeout=timeout)
        try:
            create = asyncio.get_running_loop().create_connection
            made = await open_transport(
                create, factory, connected, **_tls(ssl, server_hostname, host)
            )
            return cast("tuple[asyncio.Transport, AnyStreamProtocol]", made)
        except BaseException:
            connected.close()
            raise

    async def listen(
        self, port: int = 0, host: str | None = None, *, backlog: int = 100
    ) -> Listener:
        """Listen on one address; without `host` on all of the family of our first one."""
        address = (await self._local_hosts(host or self._wildcard_hosts()[0]))[0]
        return await self._opened().stack.listen((address, port), backlog=backlog)

    async def listen_on(
        self, hosts: Sequence[str] = (), port: int = 0, *, backlog: int = 100
    ) -> list[Listener]:
        """Listen on several hosts, all on one port; without `hosts` on all our addresses."""
        listeners: list[Listener] = []
        try:
            found = [each for host in hosts or ("",) for each in await self._local_hosts(host)]
            for host in dict.fromkeys(found):
                chosen = listeners[0].address[1] if listeners else port
                where = (host, chosen)
                listeners.append(await self._opened().stack.listen(where, backlog=backlog))
        except BaseException:
            for listener in listeners:
                listener.close()
            raise
        return listeners

    async def create_server(
        self,
        factory: Callable[[], asyncio.BaseProtocol],
        host: str | Sequence[str] | None = None,
        port: int = 0,
        *,
        backlog: int = 100,
        ssl: SSLContext | None = None,
    ) -> Server:
        """Listen, as `loop.create_server` does; without `host` on all our addresses."""
        hosts = [host] if isinstance(host, str) else host or ()
        listeners = await self.listen_on(hosts, port, backlog=backlog)
        server = Server(listeners, factory, ssl)
        self._servers.add(server)
        await server.start_serving()
        return server

    async def start_server(
        self,
        handler: Handler,
        host: str | Sequence[str] | None = None,
        port: int = 0,
        *,
        limit: int = 1 << 16,
        backlog: int = 100,
        ssl: SSLContext | None = None,
    ) -> Server:
        """Listen, as `asyncio.start_server` does; without `host` on all our addresses."""
        loop = asyncio.get_running_loop()

        def factory() -> asyncio.StreamReaderProtocol:
            reader = asyncio.StreamReader(limit=limit, loop=loop)
            return asyncio.StreamReaderProtocol(reader, handler, loop=loop)

        return await self.create_server(factory, host, port, backlog=backlog, ssl=ssl)

    async def create_datagram_endpoint(
        self,
        factory: Callable[[], AnyProtocol],
        local_addr: Address | None = None,
        remote_addr: Address | None = None,
    ) -> tuple[asyncio.DatagramTransport, AnyProtocol]:
        """Open a UDP port, as `loop.create_datagram_endpoint` does.

        A local address without a host is all addresses of the family of our first one.
        """
        family = 0
        if remote_addr is not None:
            address = (await self.resolve(remote_addr[0]))[0]
            self._opened().check(address)
            remote_addr = (address, remote_addr[1])
            family = family_of(address)
        if local_addr is not None or remote_addr is None:
            host, port = (local_addr or ("", 0))[:2]
            wildcards = self._wildcard_hosts()
            default = next((each for each in wildcards if family_of(each) == family), wildcards[0])
            local_addr = ((await self.resolve(host or default, family=family))[0], port)
        stack = self._opened().stack
        return await stack.datagram_endpoint(factory, local=local_addr, remote=remote_addr)

    async def resolve(self, host: str, *, family: int = 0) -> list[str]:
        """Look a name up with the name servers of `DNS`, through the tunnel.

        Without name servers the system looks it up. Raises socket.gaierror, which is an OSError.
        """
        if numeric(host) is not None:
            return [host]
        return await self._resolver.resolve(host, family=family)

    async def ping(self, host: str, timeout: float = 5.0) -> float:
        """Return the seconds until the answer to an ICMP echo request; TimeoutError."""
        address = (await self.resolve(host))[0]
        self._opened().check(address)
        return await self._opened().stack.ping(address, timeout)

    def _opened(self) -> Running:
        if self._running is None or self._closing is not None:
            raise OSError(self._reason.errno, self._reason.strerror)
        return self._running

    async def _local_hosts(self, host: str) -> list[str]:
        """Return the addresses to listen on for a host: an empty one is all our addresses."""
        return await self.resolve(host) if host else self._wildcard_hosts()

    def _wildcard_hosts(self) -> list[str]:
        families = {family_of(address): None for address in self._own}
        return ["::" if family == AF_INET6 else "0.0.0.0" for family in families]  # noqa: S104

    def _fail(self, reason: OSError) -> None:
        """The stack or the tunnel has ended by itself: no packet passes any more."""
        if self._closing is not None:
            return
        log.error("The network %s ended: %s", self.name, reason.strerror)
        self.failure = reason
        self._end(reason)
        self.died.set_result(reason)

    def _end(self, reason: OSError) -> None:
        if self._closing is None and self._running is not None:
            self._reason = reason
            closing = self._close_all(self._running, reason)
            self._closing = asyncio.get_running_loop().create_task(closing)

    async def _close_all(self, running: Running, reason: OSError) -> None:
        for server in list(self._servers):
            server.close()
        await running.close(reason)


def _tls(
    context: SSLContext | bool | None, server_hostname: str | None, host: str
) -> dict[str, Any]:
    """Return asyncio's arguments for TLS; the server's name is `host` unless another is given."""
    if not context:
        return {}
    return {"ssl": context, "server_hostname": server_hostname or host}


AnyStreamProtocol = TypeVar("AnyStreamProtocol", bound=asyncio.BaseProtocol)

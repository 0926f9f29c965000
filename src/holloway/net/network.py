"""A peer inside a program: a tunnel, a stack within it, and asyncio's interfaces on top.

`Network` brings together what others do: `settings` reads, a `Stack` speaks TCP, `Tunnel` carries,
`resolve` looks names up. It adds names and allowed IPs. All of it belongs to one event loop, except
`socket`, which any thread may call; `blocking` is the twin for plain scripts.
"""

from __future__ import annotations

import asyncio
import logging
import os
import weakref
from socket import AF_INET, AF_INET6, SOCK_STREAM
from typing import TYPE_CHECKING, Any, Self, TypeVar

from holloway.device.tunnel import Tunnel
from holloway.net.choose_stack import look_up_endpoints, open_stack
from holloway.net.errors import network_down, no_endpoint, no_peer
from holloway.net.kernel import KernelStack
from holloway.net.resolve import StubResolver
from holloway.net.routes import Routes
from holloway.net.server import Server
from holloway.net.settings import Settings, from_arguments, from_config
from holloway.net.stack import BUFFER, MIN_BUFFER, family_of
from holloway.text.address import numeric

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from socket import socket as Socket  # noqa: N812  # there is a method of that name
    from ssl import SSLContext

    from holloway.key import Key
    from holloway.model import Device, DeviceUpdate, Peer, PeerUpdate
    from holloway.net.stack import Address, AnyProtocol, Listener, Stack

    Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None] | None]

log = logging.getLogger(__name__)


class Network:
    """A WireGuard peer of this program; an async context manager, or `open` and `close`.

    `stack` is "kernel" or "userspace" to force one; None takes the kernel's where the system
    allows it. `peers` are `Peer` or `PeerUpdate`, `addresses` our own with the lengths of their
    networks, `dns` name servers and search domains. `buffer` is what a TCP connection of the
    userspace stack holds at most each way, in bytes; the kernel sizes its own.
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
        self._stack: Stack | None = None
        self._tunnel: Tunnel | None = None
        self._reason = network_down("the network is not open")
        self._closing: asyncio.Task[None] | None = None
        self.failure: OSError | None = None
        """Why the network ended by itself, if it did."""
        self._servers: weakref.WeakSet[Server] = weakref.WeakSet()
        self._own = dict.fromkeys(str(address.ip) for address in settings.addresses)
        self._resolver = StubResolver(self.connect, settings.servers, settings.domains)
        self.stack_reason = ""
        """Why it is this stack."""

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Start; raises OSError, ConfigError, and NoNamespace for a stack that was forced."""
        if self._stack is not None or self._closing is not None:
            raise RuntimeError("a network is opened once")
        for note in self.notes:
            log.warning("%s", note)
        self._settings = await look_up_endpoints(self._settings)
        stack, self.stack_reason = await open_stack(self._settings, self._wanted, self._buffer)
        self._stack = stack
        try:
            self._start_tunnel(stack)
        except BaseException:
            await self.close()
            raise
        self.died: asyncio.Future[OSError] = asyncio.get_running_loop().create_future()
        """Done when the network ends by itself; its result is the reason."""
        stack.died.add_done_callback(lambda died: self._fail(died.result()))

    async def close(self) -> None:
        """End every connection with an error, the tunnel, and what served them."""
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
        return self._opened().name

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the configuration means nothing to a single program."""
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
        """The domains of `DNS` in which short names are looked up."""
        return self._settings.domains

    @property
    def helper(self) -> int | None:
        """The process in the private namespace; None with the userspace stack."""
        stack = self._opened()
        return stack.pid if isinstance(stack, KernelStack) else None

    @property
    def device(self) -> Device:
        """Keys, peers, traffic and handshakes: what `wg show` prints."""
        self._opened()
        assert self._tunnel is not None
        return self._tunnel.get()

    def set(self, update: DeviceUpdate) -> None:
        """Change peers or keys while connections live; raises OSError and ConfigError."""
        self._opened()
        assert self._tunnel is not None
        try:
            self._tunnel.set(update)
        finally:
            self._routes = Routes(self._tunnel.get())

    def socket(
        self,
        family: int = AF_INET,
        type: int = SOCK_STREAM,  # noqa: A002
        proto: int = 0,
    ) -> Socket:
        """Make an ordinary socket that lives inside the tunnel, as `socket.socket` would.

        With the userspace stack there are only connected ones: OSError(EOPNOTSUPP).
        """
        return self._opened().socket(family, type, proto)

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
                    self._check(address)
                    return await self._opened().connect((address, port), type=type, source=source)
                except OSError as error:
                    first = first or error
            assert first is not None
            raise first

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
        connected = await self.connect(host, port, source=source, timeout=timeout)
        try:
            return await asyncio.open_connection(
                sock=connected, limit=limit, **_tls(ssl, server_hostname, host)
            )
        except BaseException:
            connected.close()
            raise

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
            return await asyncio.get_running_loop().create_connection(
                factory, sock=connected, **_tls(ssl, server_hostname, host)
            )
        except BaseException:
            connected.close()
            raise

    async def listen(
        self, port: int = 0, host: str | None = None, *, backlog: int = 100
    ) -> Listener:
        """Listen on one address; without `host` on all of the family of our first one."""
        return await self._opened().listen(
            (host or self._wildcard_hosts()[0], port), backlog=backlog
        )

    async def listen_on(
        self, hosts: Sequence[str], port: int = 0, *, backlog: int = 100
    ) -> list[Listener]:
        """Listen on several addresses; where any port will do, on the one that the first got."""
        listeners: list[Listener] = []
        try:
            for host in hosts:
                chosen = listeners[0].address[1] if listeners else port
                listeners.append(await self._opened().listen((host, chosen), backlog=backlog))
        except BaseException:
            for listener in listeners:
                listener.close()
            raise
        return listeners

    async def create_server(
        self,
        factory: Callable[[], asyncio.BaseProtocol],
        host: str | None = None,
        port: int = 0,
        *,
        backlog: int = 100,
        ssl: SSLContext | None = None,
    ) -> Server:
        """Listen, as `loop.create_server` does; without `host` on all our addresses."""
        hosts = [host] if host else self._wildcard_hosts()
        server = Server(await self.listen_on(hosts, port, backlog=backlog), factory, ssl)
        self._servers.add(server)
        await server.start_serving()
        return server

    async def start_server(
        self,
        handler: Handler,
        host: str | None = None,
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
        """Open a UDP port, as `loop.create_datagram_endpoint` does."""
        if remote_addr is not None:
            address = (await self.resolve(remote_addr[0]))[0]
            self._check(address)
            remote_addr = (address, remote_addr[1])
        if local_addr is None and remote_addr is None:
            local_addr = (self._wildcard_hosts()[0], 0)
        return await self._opened().datagram_endpoint(factory, local=local_addr, remote=remote_addr)

    async def resolve(self, host: str, *, family: int = 0) -> list[str]:
        """Look a name up with the name servers of `DNS`, through the tunnel.

        Without any the system is asked. Raises socket.gaierror, which is an OSError.
        """
        if numeric(host) is not None:
            return [host]
        return await self._resolver.resolve(host, family=family)

    async def ping(self, host: str, timeout: float = 5.0) -> float:
        """Return the seconds until the answer to an ICMP echo request; TimeoutError."""
        address = (await self.resolve(host))[0]
        self._check(address)
        return await self._opened().ping(address, timeout)

    def _opened(self) -> Stack:
        if self._stack is None or self._closing is not None:
            raise OSError(self._reason.errno, self._reason.strerror)
        return self._stack

    def _wildcard_hosts(self) -> list[str]:
        families = {family_of(address): None for address in self._own}
        return ["::" if family == AF_INET6 else "0.0.0.0" for family in families]  # noqa: S104

    def _check(self, address: str) -> None:
        """Refuse an address that cannot be reached, by the reason of the kernel's wg_xmit."""
        number = numeric(address)
        assert number is not None
        if address in self._own or number.is_loopback:
            return
        self._opened()
        assert self._tunnel is not None
        key = self._routes.find(number)
        if key is None:
            raise no_peer(address)
        if not self._tunnel.has_endpoint(key):
            raise no_endpoint(address)

    def _start_tunnel(self, stack: Stack) -> None:
        self._tunnel = tunnel = Tunnel(stack.tun)
        tunnel.died.add_done_callback(
            lambda died: self._fail(
                network_down(f"the packet thread ended: {os.strerror(died.result())}")
            )
        )
        if isinstance(stack, KernelStack):
            stack.provide_icmp_sockets(tunnel)
        tunnel.set(self._settings.update)
        tunnel.link_changed(up=True, mtu=self._settings.mtu)
        self._routes = Routes(tunnel.get())

    def _fail(self, reason: OSError) -> None:
        """Something that serves us has ended by itself: nothing will pass any more."""
        if self._closing is not None:
            return
        log.error("The network %s ended: %s", self.name, reason.strerror)
        self.failure = reason
        self._end(reason)
        self.died.set_result(reason)

    def _end(self, reason: OSError) -> None:
        if self._closing is None and self._stack is not None:
            self._reason = reason
            self._closing = asyncio.get_running_loop().create_task(self._close_all(reason))

    async def _close_all(self, reason: OSError) -> None:
        assert self._stack is not None
        for server in list(self._servers):
            server.close()
        try:
            await self._stack.close(reason)
        finally:
            if self._tunnel is not None:
                self._tunnel.close()
            self._stack.tun.close()


def _tls(
    context: SSLContext | bool | None, server_hostname: str | None, host: str
) -> dict[str, Any]:
    """The arguments of asyncio; without a name of its own the server is `host`."""
    if not context:
        return {}
    return {"ssl": context, "server_hostname": server_hostname or host}


AnyStreamProtocol = TypeVar("AnyStreamProtocol", bound=asyncio.BaseProtocol)

"""An event loop of asyncio whose names, connections, servers and datagrams go through a network.

Libraries for asyncio use it unchanged. Loopback addresses, Unix sockets, pipes and subprocesses are
this machine's, as in every loop. The network is a blocking one, with a loop of its own in a thread,
so that it outlives this loop: `BlockingNetwork.loop_factory` makes one, and `run` runs a program.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import os
import socket
import weakref
from typing import TYPE_CHECKING, Any, Final, TypeVar

from holloway.net import addrinfo, placement, sockets
from holloway.net.blocking import open as open_network
from holloway.net.bridge import call
from holloway.net.datagram_transport import open_datagram_transport
from holloway.net.happy_eyeballs import connect_any, interleaved
from holloway.net.inner_datagram import DatagramSocket
from holloway.net.inner_socket import InnerSocket
from holloway.net.server import Server, server_tls, start
from holloway.net.stack import family_of, wildcards
from holloway.text.address import numeric

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from holloway.net.blocking import BlockingNetwork

Result = TypeVar("Result")


def run(
    main: Coroutine[Any, Any, Result] | Callable[[], Coroutine[Any, Any, Result]],
    config: str | os.PathLike[str] | None = None,
    *,
    debug: bool | None = None,
    **options: Any,
) -> Result:
    """Run a coroutine as `asyncio.run` does, in an event loop whose connections use a tunnel.

    `config` and the options are those of `holloway.open`.
    """
    try:
        with (
            open_network(config, **options) as network,
            asyncio.Runner(debug=debug, loop_factory=network.loop_factory()) as runner,
        ):
            return runner.run(main() if callable(main) else main)
    finally:
        if not callable(main):
            main.close()  # no warning that nobody awaited it where the network did not open


class TunnelEventLoop(asyncio.SelectorEventLoop):
    """The loop; `network` is what it connects through."""

    def __init__(self, network: BlockingNetwork) -> None:
        super().__init__()
        self.network = network
        self._inner: weakref.WeakKeyDictionary[socket.socket, InnerSocket] = (
            weakref.WeakKeyDictionary()
        )
        """What sockets that a program made have become, on the userspace stack."""

    async def getaddrinfo(
        self,
        host: Any,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002  # asyncio's name
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        """Look a name up through the tunnel; see `addrinfo.getaddrinfo`."""
        query = (host, port, family, type, proto, flags)
        look_up = functools.partial(addrinfo.getaddrinfo, self.network.network, *query)
        if not host or (isinstance(host, str) and numeric(host) is not None):
            return await look_up()  # this asks nobody
        return await call(self.network, look_up)

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        """Return the names of this machine's addresses, and the numbers of all others."""
        return await super().getnameinfo(sockaddr, placement.nameinfo_flags(sockaddr, flags))

    async def create_connection(
        self,
        protocol_factory: Callable[[], Any],
        host: str | None = None,
        port: Any = None,
        **options: Any,
    ) -> Any:
        connected: socket.socket | None = options.get("sock")
        if connected is not None:
            options["sock"] = connected = self._with_addresses(connected)
        elif host and not placement.is_loopback(host):
            if options.get("ssl") and options.get("server_hostname") is None:
                options["server_hostname"] = host
            options["sock"] = connected = await self._connect(host, port, options)
            host = port = None
        try:
            return await super().create_connection(protocol_factory, host, port, **options)
        except BaseException:
            if connected is not None:
                connected.close()
            raise

    async def create_server(
        self,
        protocol_factory: Callable[[], Any],
        host: Any = None,
        port: Any = None,
        **options: Any,
    ) -> Any:
        hosts = [host] if host is None or isinstance(host, str) else list(host)
        is_outside = all(each and placement.is_loopback(each) for each in hosts)
        if is_outside or options.get("sock") is not None:
            return await super().create_server(protocol_factory, host, port, **options)
        tls = server_tls(*map(options.get, TLS))
        addresses = await self._server_addresses(hosts, port, options)
        server = Server(self._listen(addresses, options), protocol_factory, tls)
        if options.get("start_serving", True):
            await start(server)
        return server

    async def create_datagram_endpoint(
        self,
        protocol_factory: Callable[[], Any],
        local_addr: Any = None,
        remote_addr: Any = None,
        **options: Any,
    ) -> Any:
        sock: socket.socket | None = options.get("sock")
        if sock is not None:
            options["sock"] = self._replaced(sock)
        elif _belongs_inside(local_addr, remote_addr, options.get("family", 0)):
            sock = await self._datagram_socket(local_addr, remote_addr, options)
            local_addr = remote_addr = None
            options = {"sock": sock}
        try:
            if isinstance(options.get("sock"), DatagramSocket):
                # asyncio's transport would not see that the network has ended.
                options["sock"].setblocking(False)
                return await open_datagram_transport(protocol_factory, options["sock"])
            return await super().create_datagram_endpoint(
                protocol_factory, local_addr, remote_addr, **options
            )
        except BaseException:
            if "sock" in options:
                options["sock"].close()
            raise

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        if not placement.is_outside(sock) or placement.is_loopback(address[0]):
            await super().sock_connect(sock, address)
            return
        found = await self.getaddrinfo(*address[:2], family=sock.family, type=sock.type)
        bound = placement.bound_address(sock)
        sources: dict[int, Any] = {} if bound is None else {sock.family: bound[:2]}
        with await self._connected(found[0][4], sock.type, sources) as connected:
            placement.copy_options(sock, connected)
            self._become(sock, connected)

    async def sock_sendto(self, sock: socket.socket, data: Any, address: Any) -> int:
        if placement.is_outside(sock) and not placement.is_loopback(address[0]):
            with placement.replace(self.network, sock) as inner:
                self._become(sock, inner)
        return await super().sock_sendto(sock, data, address)

    def _become(self, sock: socket.socket, inner: socket.socket) -> None:
        """Let a program's socket be another one: it has a descriptor of it from now on."""
        if isinstance(inner, InnerSocket):
            if sock.type != socket.SOCK_STREAM:
                raise OSError(errno.EOPNOTSUPP, "make this UDP socket inside, by net.socket()")
            self._inner[sock] = inner
        os.dup2(inner.fileno(), sock.fileno(), inheritable=False)

    def _with_addresses(self, sock: socket.socket) -> socket.socket:
        """Return the socket that knows its addresses for one that `sock_connect` has connected."""
        inner = self._inner.pop(sock, None)
        return sock if inner is None else inner.over(sock.detach())

    def _replaced(self, sock: socket.socket) -> socket.socket:
        """Return the socket for a UDP port that was made outside: inside, if it may be either."""
        if not (placement.is_outside(sock) and placement.is_free(sock)):
            return sock
        with sock:
            return placement.replace(self.network, sock)

    async def _connect(self, host: str, port: Any, options: dict[str, Any]) -> socket.socket:
        """Connect to one of the addresses of a host, as the options of `create_connection` say."""
        names = ("family", "proto", "flags")
        query = {name: options.pop(name) for name in names if name in options}
        found = await self.getaddrinfo(host, port, type=socket.SOCK_STREAM, **query)
        addresses = [entry[4] for entry in found]
        delay = options.pop("happy_eyeballs_delay", None)
        interleave = options.pop("interleave", None)
        if interleave is None:
            interleave = int(delay is not None)
        if interleave:
            addresses = interleaved(addresses, interleave)
        sources = await self._sources(options.pop("local_addr", None))

        def connect(address: Any) -> Coroutine[Any, Any, socket.socket]:
            return self._connected(address, socket.SOCK_STREAM, sources)

        return await connect_any(addresses, connect, delay, options.pop("all_errors", False))

    async def _sources(self, local: Any) -> dict[int, Any]:
        """Look up a local address; returns it for each family."""
        if local is None:
            return {}
        found = await self.getaddrinfo(*local[:2], type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
        return {entry[0]: entry[4][:2] for entry in reversed(found)}

    async def _connected(self, address: Any, kind: int, sources: dict[int, Any]) -> socket.socket:
        """Connect to a numeric address inside the tunnel."""
        source = sources.get(family_of(address[0]))
        if sources and source is None:
            raise OSError(errno.EADDRNOTAVAIL, f"no local address of the family of {address[0]}")
        connect = self.network.network.connect
        return await call(
            self.network, functools.partial(connect, *address[:2], type=kind, local_addr=source)
        )

    async def _server_addresses(
        self, hosts: Iterable[str | None], port: Any, options: dict[str, Any]
    ) -> list[Any]:
        """Return the addresses to listen on, each once; no host is all our addresses."""
        family, flags = options.get("family", 0), options.get("flags", socket.AI_PASSIVE)
        found: dict[Any, None] = {}
        for host in hosts:
            for each in [host] if host else wildcards(self.network.addresses, family):
                entries = await self.getaddrinfo(
                    each, port, family=family, type=socket.SOCK_STREAM, flags=flags
                )
                found.update(dict.fromkeys(entry[4] for entry in entries))
        return list(found)

    def _listen(self, addresses: Iterable[Any], options: dict[str, Any]) -> list[sockets.Listener]:
        """Listen on all addresses: outside on those of this machine, else inside the tunnel."""
        reuse_port = bool(options.get("reuse_port"))
        if reuse_port and self.network.stack == "userspace":
            raise ValueError("reuse_port is not supported by the userspace stack")

        def make(host: str) -> socket.socket:
            belongs_outside = placement.is_loopback(host)
            kind = socket.socket if belongs_outside else self.network.socket
            return kind(family_of(host), socket.SOCK_STREAM)

        listening = sockets.listen(
            make,
            [address[:2] for address in addresses],
            options.get("backlog", 100),
            reuse_port=reuse_port,
        )
        return [sockets.Listener(each) for each in listening]

    async def _datagram_socket(
        self, local: Any, remote: Any, options: dict[str, Any]
    ) -> socket.socket:
        """Make the socket of an endpoint: connected if it has a remote address, else bound."""
        family = options.get("family", 0)
        if local is not None and not local[0]:
            local = (wildcards(self.network.addresses, family)[0], local[1])
        if remote is not None:
            found = await self.getaddrinfo(*remote[:2], family=family, type=socket.SOCK_DGRAM)
            sources = await self._sources(local)

            def connect(address: Any) -> Coroutine[Any, Any, socket.socket]:
                return self._connected(address, socket.SOCK_DGRAM, sources)

            return await connect_any([entry[4] for entry in found], connect)
        if local is None:
            return self.network.socket(family, socket.SOCK_DGRAM)
        found = await self.getaddrinfo(*local[:2], family=family, type=socket.SOCK_DGRAM)
        sock = self.network.socket(found[0][0], socket.SOCK_DGRAM)
        try:
            if options.get("reuse_port"):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if options.get("allow_broadcast"):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sock.bind(found[0][4])
        except BaseException:
            sock.close()
            raise
        return sock


def _belongs_inside(local: Any, remote: Any, family: int) -> bool:
    """Whether a UDP port with these addresses is one in the tunnel."""
    if family == socket.AF_UNIX or not (family or local or remote):
        return False  # of another kind, or a mistake of which asyncio tells
    hosts = [address[0] for address in (local, remote) if address]
    return not any(host and placement.is_loopback(host) for host in hosts)


TLS: Final = ("ssl", "ssl_handshake_timeout", "ssl_shutdown_timeout")

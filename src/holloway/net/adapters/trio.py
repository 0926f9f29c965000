"""Streams, listeners and sockets for trio: `with through(network)`, or each by its own function.

Within `through` all that trio connects goes through the tunnel, and so do libraries for trio, anyio
and httpx among them; loopback addresses and Unix sockets are this machine's. The network is a
blocking one, with its event loop in a thread; the sockets themselves are trio's to wait for.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import select
import socket
from typing import TYPE_CHECKING, Any, TypeVar

import outcome
import trio

from holloway.net import addrinfo, placement, sockets
from holloway.net.bridge import close, start
from holloway.net.stack import WILDCARDS, family_of, wildcards

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator

    from holloway.net.blocking import BlockingNetwork
    from holloway.net.stack import Address

Result = TypeVar("Result")


@contextlib.contextmanager
def through(network: BlockingNetwork) -> Iterator[None]:
    """Let trio connect, listen and look names up through a network, in this call of `trio.run`.

    It holds for all tasks, as `trio.socket.set_custom_socket_factory` does.
    """
    factory = trio.socket.set_custom_socket_factory(SocketFactory(network))
    resolver = trio.socket.set_custom_hostname_resolver(Resolver(network))
    try:
        yield
    finally:
        trio.socket.set_custom_socket_factory(factory)
        trio.socket.set_custom_hostname_resolver(resolver)


async def open_tcp_stream(
    network: BlockingNetwork, host: str, port: int, *, local_addr: Address | None = None
) -> trio.SocketStream:
    """Connect through a network, as `trio.open_tcp_stream` does."""
    connect = functools.partial(network.network.connect, host, port, local_addr=local_addr)
    return trio.SocketStream(Socket(network, await call(network, connect)))


async def open_tcp_listeners(
    network: BlockingNetwork, port: int = 0, *, host: str | None = None, backlog: int = 128
) -> list[trio.SocketListener]:
    """Listen inside the tunnel, for `trio.serve_listeners`; without `host` on all our addresses."""
    hosts = [host] if host else wildcards(network.addresses)
    listening = sockets.listen(
        lambda host: network.socket(family_of(host)), [(each, port) for each in hosts], backlog
    )
    return [trio.SocketListener(Socket(network, each, is_listening=True)) for each in listening]


class SocketFactory(trio.abc.SocketFactory):
    """Makes the sockets of `trio.socket.socket`."""

    def __init__(self, network: BlockingNetwork) -> None:
        self._network = network

    def socket(
        self,
        family: int = socket.AF_INET,
        type: int = socket.SOCK_STREAM,  # noqa: A002  # trio's name
        proto: int = 0,
    ) -> trio.socket.SocketType:
        made = socket.socket(family, type, proto)
        if family not in placement.IP_FAMILIES:
            return trio.socket.from_stdlib_socket(made)
        return Socket(self._network, made)


class Resolver(trio.abc.HostnameResolver):
    """Looks names up with `Network.resolve`."""

    def __init__(self, network: BlockingNetwork) -> None:
        self._network = network

    async def getaddrinfo(  # noqa: PLR0913, PLR0917  # trio's arguments
        self,
        host: bytes | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,  # noqa: A002
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        look_up = functools.partial(
            addrinfo.getaddrinfo, self._network.network, host, port, family, type, proto, flags
        )
        return await call(self._network, look_up)

    async def getnameinfo(self, sockaddr: Any, flags: int) -> tuple[str, str]:
        flags = placement.nameinfo_flags(sockaddr, flags)
        return await trio.to_thread.run_sync(socket.getnameinfo, sockaddr, flags)


async def call(network: BlockingNetwork, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run a coroutine function in the network's loop, and wait for it in trio."""
    await trio.lowlevel.checkpoint_if_cancelled()
    task = trio.lowlevel.current_task()
    token = trio.lowlevel.current_trio_token()
    is_waiting = True

    def settle(result: Any, error: BaseException | None) -> None:
        nonlocal is_waiting
        if not is_waiting:
            close(result)
            return
        is_waiting = False
        value = outcome.Value(result) if error is None else outcome.Error(error)
        trio.lowlevel.reschedule(task, value)

    def done(result: Any, error: BaseException | None) -> None:
        try:
            token.run_sync_soon(settle, result, error)
        except trio.RunFinishedError:
            close(result)

    cancel = start(network, work, done)

    def abort(_: object) -> trio.lowlevel.Abort:
        nonlocal is_waiting
        is_waiting = False
        cancel()
        return trio.lowlevel.Abort.SUCCEEDED

    result: Result = await trio.lowlevel.wait_task_rescheduled(abort)
    return result


def _plain(name: str) -> Any:
    """Make a method that is the standard library's."""

    def method(self: Socket, *arguments: Any) -> Any:
        return getattr(self._sock, name)(*arguments)

    return method


def _waiting(name: str, wait: Callable[[Any], Awaitable[None]]) -> Any:
    """Make a method that waits where the standard library's would block."""

    async def method(self: Socket, *arguments: Any) -> Any:
        return await self.wait_for(wait, lambda: getattr(self._sock, name)(*arguments))

    return method


class Socket(trio.socket.SocketType):
    """A trio socket over any socket of the standard library, of either stack.

    One made outside is replaced by one inside when it gets an address in the tunnel.
    """

    def __init__(
        self, network: BlockingNetwork, inner: socket.socket, *, is_listening: bool = False
    ) -> None:
        super().__init__()
        self._sock = inner  # under the name that trio's own sockets have it, where anyio looks
        self._network = network
        self._has_shutdown_writing = False
        self._is_listening = is_listening
        inner.setblocking(False)

    fileno = _plain("fileno")
    detach = _plain("detach")
    getpeername = _plain("getpeername")
    getsockname = _plain("getsockname")
    setsockopt = _plain("setsockopt")
    get_inheritable = _plain("get_inheritable")
    set_inheritable = _plain("set_inheritable")
    recv = _waiting("recv", trio.lowlevel.wait_readable)
    recv_into = _waiting("recv_into", trio.lowlevel.wait_readable)
    recvfrom = _waiting("recvfrom", trio.lowlevel.wait_readable)
    recvfrom_into = _waiting("recvfrom_into", trio.lowlevel.wait_readable)
    recvmsg = _waiting("recvmsg", trio.lowlevel.wait_readable)
    recvmsg_into = _waiting("recvmsg_into", trio.lowlevel.wait_readable)
    send = _waiting("send", trio.lowlevel.wait_writable)
    sendmsg = _waiting("sendmsg", trio.lowlevel.wait_writable)

    def __enter__(self) -> Socket:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<trio socket over {self._sock!r}>"

    @property
    def family(self) -> socket.AddressFamily:
        return self._sock.family

    @property
    def type(self) -> socket.SocketKind:
        return self._sock.type

    @property
    def proto(self) -> int:
        return self._sock.proto

    @property
    def did_shutdown_SHUT_WR(self) -> bool:  # noqa: N802  # trio's name
        return self._has_shutdown_writing

    def dup(self) -> Socket:
        return Socket(self._network, self._sock.dup())

    def close(self) -> None:
        if self._sock.fileno() >= 0:
            trio.lowlevel.notify_closing(self._sock)
            self._sock.close()

    def shutdown(self, flag: int) -> None:
        self._sock.shutdown(flag)
        if flag in {socket.SHUT_WR, socket.SHUT_RDWR}:
            self._has_shutdown_writing = True

    def getsockopt(self, level: int, option: int, *size: int) -> Any:
        if (level, option) == (socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return int(self._is_listening)  # the userspace stack's sockets are of another kind
        return self._sock.getsockopt(level, option, *size)

    def is_readable(self) -> bool:
        waiting = select.poll()
        waiting.register(self._sock, select.POLLIN)
        return bool(waiting.poll(0))

    async def wait_writable(self) -> None:
        await trio.lowlevel.wait_writable(self._sock)

    async def bind(self, address: Any) -> None:
        found = await self._numeric(address, socket.AI_PASSIVE)
        self._enter(found)
        self._sock.bind(found)

    def listen(self, backlog: int = 128) -> None:
        if placement.bound_address(self._sock) is None:
            self._enter(self._sock.getsockname())
        self._sock.listen(backlog)
        self._is_listening = True

    async def accept(self) -> tuple[trio.socket.SocketType, Any]:
        accepted, address = await self.wait_for(trio.lowlevel.wait_readable, self._sock.accept)
        return Socket(self._network, accepted), address

    async def connect(self, address: Any) -> None:
        found = await self._numeric(address)
        if self._belongs_inside(found):
            connect = functools.partial(
                self._network.network.connect, *found[:2], type=self.type,
                local_addr=placement.bound_address(self._sock),
            )  # fmt: skip
            self._replace(await call(self._network, connect))
            return
        number = self._sock.connect_ex(found)
        if number == errno.EINPROGRESS:
            await trio.lowlevel.wait_writable(self._sock)
            number = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise OSError(number, os.strerror(number))

    async def sendto(self, data: Any, *rest: Any) -> int:
        """Send to the last argument; flags may stand before it."""
        *flags, address = rest
        found = await self._numeric(address)
        self._enter(found)
        send = functools.partial(self._sock.sendto, data, *flags, found)
        sent: int = await self.wait_for(trio.lowlevel.wait_writable, send)
        return sent

    async def wait_for(
        self, wait: Callable[[Any], Awaitable[None]], function: Callable[[], Result]
    ) -> Result:
        """Call a function until it does not block: at once, and each time that waiting ends."""
        await trio.lowlevel.checkpoint_if_cancelled()
        with contextlib.suppress(BlockingIOError):
            result = function()
            await trio.lowlevel.cancel_shielded_checkpoint()
            return result
        while True:
            await wait(self._sock)
            with contextlib.suppress(BlockingIOError):
                return function()

    async def _numeric(self, address: Any, flags: int = 0) -> Any:
        """Look up the name in an address, if it is one."""
        host = str(address[0] or WILDCARDS[self.family])
        if len(address) > 2 and family_of(host) == self.family:
            return address
        query = (host, address[1], self.family, self.type, self.proto, flags)
        return (await trio.socket.getaddrinfo(*query))[0][4]

    def _belongs_inside(self, address: Any) -> bool:
        """Whether this socket is outside, and belongs inside with such an address."""
        return placement.is_outside(self._sock) and not placement.is_loopback(address[0])

    def _enter(self, address: Any) -> None:
        if self._belongs_inside(address):
            self._replace(placement.replace(self._network, self._sock))

    def _replace(self, inner: socket.socket) -> None:
        placement.copy_options(self._sock, inner)
        inner.setblocking(False)
        self.close()
        self._sock = inner

"""Streams and listeners for anyio, over asyncio and over trio, each on an explicit network.

In an event loop of a network (`holloway.run`), and under trio within `adapters.trio.through`, what
anyio itself connects goes through the tunnel already; its listeners do not, because it makes them
without asking either. The streams here wait for sockets by anyio alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.abc
from anyio.streams.stapled import MultiListener

from holloway.net import bridge, sockets
from holloway.net.stack import family_of, wildcards

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from anyio.abc import TaskGroup

    from holloway.net.blocking import BlockingNetwork
    from holloway.net.stack import Address

Result = TypeVar("Result")


async def connect_tcp(
    network: BlockingNetwork, host: str, port: int, *, local_addr: Address | None = None
) -> Stream:
    """Connect through a network, as `anyio.connect_tcp` does."""
    connect = functools.partial(network.network.connect, host, port, local_addr=local_addr)
    return Stream(await _call(network, connect))


async def create_tcp_listener(
    network: BlockingNetwork,
    *,
    local_host: str | None = None,
    local_port: int = 0,
    backlog: int = 100,
) -> MultiListener[Stream]:
    """Listen inside the tunnel, on all our addresses unless there is a host."""
    hosts = [local_host] if local_host else wildcards(network.addresses)
    listening = sockets.listen(
        lambda host: network.socket(family_of(host)),
        [(each, local_port) for each in hosts],
        backlog,
    )
    return MultiListener([Listener(each) for each in listening])


class Stream(anyio.abc.ByteStream):
    """A connection inside the tunnel, with the attributes of `anyio.abc.SocketStream`."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._remote: Address | None = None
        with contextlib.suppress(OSError):  # the other side may have ended it already
            self._remote = connected.getpeername()[:2]
        self._receiving = anyio.ResourceGuard("reading from")
        self._sending = anyio.ResourceGuard("writing to")

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        attributes = _attributes(self._socket)
        if (remote := self._remote) is not None:
            attributes[anyio.abc.SocketAttribute.remote_address] = lambda: remote
            attributes[anyio.abc.SocketAttribute.remote_port] = lambda: remote[1]
        return attributes

    async def receive(self, max_bytes: int = 65536) -> bytes:
        with self._receiving:
            data = await _wait_for(
                self._socket, anyio.wait_readable, lambda: self._socket.recv(max_bytes)
            )
        if not data:
            raise anyio.EndOfStream
        return data

    async def send(self, item: bytes) -> None:
        with self._sending, memoryview(item) as view:
            rest = view
            while True:
                send = functools.partial(self._socket.send, rest)
                rest = rest[await _wait_for(self._socket, anyio.wait_writable, send) :]
                if not rest:
                    return

    async def send_eof(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    async def aclose(self) -> None:
        await _close(self._socket)


class Listener(anyio.abc.Listener[Stream]):
    """A listening port inside the tunnel."""

    def __init__(self, listening: socket.socket) -> None:
        self._socket = listening
        self._accepting = anyio.ResourceGuard("accepting connections from")

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return _attributes(self._socket)

    async def accept(self) -> Stream:
        """Wait for a connection."""
        with self._accepting:
            accepted, _ = await _wait_for(self._socket, anyio.wait_readable, self._socket.accept)
        accepted.setblocking(False)
        return Stream(accepted)

    async def serve(
        self, handler: Callable[[Stream], Any], task_group: TaskGroup | None = None
    ) -> None:
        if task_group is None:
            async with anyio.create_task_group() as own:
                await self.serve(handler, own)
            return
        while True:
            task_group.start_soon(handler, await self.accept())

    async def aclose(self) -> None:
        await _close(self._socket)


async def _call(
    network: BlockingNetwork, work: Callable[[], Coroutine[Any, Any, Result]]
) -> Result:
    """Run a coroutine function in the network's loop, and wait for it in anyio's."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        from holloway.net.adapters import trio

        return await trio.call(network, work)
    return await bridge.call(network, work)


async def _wait_for(
    sock: socket.socket, wait: Callable[[Any], Any], function: Callable[[], Result]
) -> Result:
    """Call a function until it does not block; raises anyio's errors."""
    await anyio.lowlevel.checkpoint()
    while True:
        try:
            return function()
        except BlockingIOError:
            await wait(sock)
        except OSError as error:
            if sock.fileno() < 0:
                raise anyio.ClosedResourceError from None
            raise anyio.BrokenResourceError from error


async def _close(sock: socket.socket) -> None:
    if sock.fileno() >= 0:
        anyio.notify_closing(sock)
        sock.close()
    await anyio.lowlevel.checkpoint()


def _attributes(sock: socket.socket) -> dict[Any, Callable[[], Any]]:
    local = sock.getsockname()[:2]
    return {
        anyio.abc.SocketAttribute.family: lambda: family_of(local[0]),
        anyio.abc.SocketAttribute.local_address: lambda: local,
        anyio.abc.SocketAttribute.local_port: lambda: local[1],
        anyio.abc.SocketAttribute.raw_socket: lambda: sock,
    }

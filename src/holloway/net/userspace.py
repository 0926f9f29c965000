"""TCP/IP within the program, for systems that forbid private namespaces.

Sends requests to the stack of `_native`, which runs in a thread of its own, and converts its events
to futures of the event loop. Implements `stack.Stack`; `network` uses it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import weakref
from typing import TYPE_CHECKING, Final

from holloway import _native
from holloway.net.errors import network_down
from holloway.net.inner_socket import InnerDatagramSocket, InnerSocket
from holloway.net.owner import require_loop

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket as Socket  # noqa: N812  # there is a method of that name

    from holloway.net.stack import Address, AnyProtocol, Interface

CONNECT_TIMEOUT: Final = 127.0
"""Seconds until an unanswered connection attempt fails, as in Linux (tcp_syn_retries 6)."""
CLOSING_SECONDS: Final = 0.001


class UserspaceStack:
    """See `stack.Stack`."""

    name: Final = "userspace"
    tun: _native.Tun

    def __init__(
        self, name: str, addresses: tuple[Interface, ...], mtu: int, *, buffer: int
    ) -> None:
        self._loop = asyncio.get_running_loop()
        own = [(str(address.ip), address.network.prefixlen) for address in addresses]
        self._arguments = (name, own, mtu, buffer)
        self._stack: _native.Stack | None = None
        self._waiting: dict[int, asyncio.Future[_native.Opened | _native.Echoed]] = {}
        self._listeners: dict[int, UserspaceListener] = {}
        self._transports: weakref.WeakSet[asyncio.DatagramTransport] = weakref.WeakSet()
        self._reason: OSError | None = network_down("the network is not open")
        self.died: asyncio.Future[OSError] = self._loop.create_future()

    async def open(self) -> None:
        self._stack = _native.Stack(*self._arguments)
        self.tun = self._stack.tun
        self._reason = None
        self._loop.add_reader(self._stack.fileno(), self._take_events)

    def socket(self, family: int, type: int, proto: int) -> Socket:  # noqa: A002
        raise OSError(
            errno.EOPNOTSUPP,
            "the userspace stack has connected sockets only: use connect, listen, start_server or "
            "create_datagram_endpoint",
        )

    async def connect(
        self,
        address: Address,
        *,
        type: int,  # noqa: A002
        source: Address | None = None,
    ) -> Socket:
        stack = self._opened()
        if type == socket.SOCK_DGRAM:
            return await self._datagram_socket(source, address)
        opened = await self._open(stack.connect(source, address, CONNECT_TIMEOUT))
        assert opened.fd is not None
        return InnerSocket.of(opened.fd, opened.address, address)

    def start_connecting(self, address: Address) -> None:
        """Only `connect` can do that here."""

    async def listen(self, address: Address, *, backlog: int) -> UserspaceListener:
        stack = self._opened()
        opened = await self._open(stack.listen(address, backlog))
        listener = UserspaceListener(self, opened.id, opened.address)
        self._listeners[opened.id] = listener
        return listener

    async def datagram_endpoint(
        self,
        factory: Callable[[], AnyProtocol],
        *,
        local: Address | None,
        remote: Address | None,
    ) -> tuple[asyncio.DatagramTransport, AnyProtocol]:
        sock = await self._datagram_socket(local, remote)
        try:
            transport, protocol = await self._loop.create_datagram_endpoint(factory, sock=sock)
        except BaseException:
            sock.close()
            raise
        self._transports.add(transport)
        return transport, protocol

    async def ping(self, address: str, timeout: float) -> float:
        stack = self._opened()
        async with asyncio.timeout(timeout):
            echoed = await self._wait(stack.echo(address))
        assert isinstance(echoed, _native.Echoed)
        return echoed.nanoseconds / 1e9

    async def close(self, reason: OSError) -> None:
        stack, self._stack = self._stack, None
        if stack is None:
            return
        try:
            self._end_waiting(stack, reason)
            stack.start_closing()
            # The tunnel takes the last resets; the end of a thread wakes nobody.
            while not stack.has_ended:  # noqa: ASYNC110
                await asyncio.sleep(CLOSING_SECONDS)
        finally:
            stack.close()

    def close_now(self, reason: OSError) -> None:
        stack, self._stack = self._stack, None
        if stack is not None:
            try:
                self._end_waiting(stack, reason)
            finally:
                stack.close()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that it was made in."""
        return self._loop

    def counts(self) -> dict[str, int]:
        """Return the counts of dropped packets and connections, by reason."""
        return self._opened().counts()

    def accept(self, listener: int) -> tuple[Socket, Address] | None:
        """Accept a connection of a listener, if one waits."""
        accepted = self._opened().accept(listener)
        if accepted is None:
            return None
        fd, remote, local = accepted
        return InnerSocket.of(fd, local, remote), remote

    def remove_listener(self, listener: int) -> None:
        """Forget a listener that is closed."""
        self._listeners.pop(listener, None)
        if self._stack is not None:
            self._stack.cancel(listener)

    def _end_waiting(self, stack: _native.Stack, reason: OSError) -> None:
        """End what waits in the event loop, with an error."""
        self._reason = reason
        if self._loop.is_closed():
            return
        self._loop.remove_reader(stack.fileno())
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(OSError(reason.errno, reason.strerror))
        for listener in list(self._listeners.values()):
            listener.end(reason)
        for transport in list(self._transports):
            if not transport.is_closing():
                protocol = transport.get_protocol()
                assert isinstance(protocol, asyncio.DatagramProtocol)
                protocol.error_received(reason)
                transport.abort()

    async def _datagram_socket(
        self, local: Address | None, remote: Address | None
    ) -> InnerDatagramSocket:
        opened = await self._open(self._opened().datagrams(local, remote))
        assert opened.fd is not None
        sock = InnerDatagramSocket.of(opened.fd, opened.address, remote)
        return sock.with_close_reason(lambda: self._reason)

    def _opened(self) -> _native.Stack:
        if self._stack is None:
            assert self._reason is not None
            raise OSError(self._reason.errno, self._reason.strerror)
        return self._stack

    async def _open(self, number: int) -> _native.Opened:
        opened = await self._wait(number)
        assert isinstance(opened, _native.Opened)
        return opened

    async def _wait(self, number: int) -> _native.Opened | _native.Echoed:
        waiting: asyncio.Future[_native.Opened | _native.Echoed] = self._loop.create_future()
        self._waiting[number] = waiting
        try:
            return await waiting
        except BaseException:
            if self._stack is not None:
                self._stack.cancel(number)
            # The result may have come in the turn of the loop in which this was cancelled.
            if waiting.done() and not waiting.cancelled() and waiting.exception() is None:
                _close(waiting.result())
            raise
        finally:
            del self._waiting[number]
            del waiting  # its exception refers to this frame

    def _take_events(self) -> None:
        assert self._stack is not None
        for event in self._stack.events():
            self._take(event)

    def _take(self, event: _native.StackEvent) -> None:
        match event:
            case _native.Opened() | _native.Echoed():
                waiting = self._waiting.get(event.id)
                if waiting is None or waiting.done():
                    self._drop(event)
                else:
                    waiting.set_result(event)
            case _native.Failed():
                waiting = self._waiting.get(event.id)
                if waiting is not None and not waiting.done():
                    waiting.set_exception(OSError(event.errno, os.strerror(event.errno)))
            case _native.Acceptable():
                listener = self._listeners.get(event.id)
                if listener is not None:
                    listener.wake()
            case _native.Ended():
                if not self.died.done():
                    reason = f"the TCP/IP thread ended: {os.strerror(event.errno)}"
                    self.died.set_result(network_down(reason))

    def _drop(self, event: _native.Opened | _native.Echoed) -> None:
        """Close what a cancelled request has opened."""
        _close(event)
        if self._stack is not None and isinstance(event, _native.Opened) and event.fd is None:
            self._stack.cancel(event.id)


class UserspaceListener:
    """See `stack.Listener`."""

    def __init__(self, stack: UserspaceStack, number: int, address: Address) -> None:
        self._stack = stack
        self._number = number
        self._address = address
        self._waiting: set[asyncio.Future[None]] = set()
        self._reason: OSError | None = None

    @property
    def address(self) -> Address:
        return self._address

    def accept_now(self) -> tuple[Socket, Address] | None:
        with contextlib.suppress(OSError):
            return None if self._reason is not None else self._stack.accept(self._number)
        return None

    async def accept(self) -> tuple[Socket, Address]:
        require_loop(self._stack.loop, "the listener")
        while True:
            if self._reason is not None:
                raise OSError(self._reason.errno, self._reason.strerror)
            accepted = self._stack.accept(self._number)
            if accepted is not None:
                return accepted
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.add(waiting)
            try:
                await waiting
            finally:
                self._waiting.discard(waiting)

    def close(self) -> None:
        if self._reason is None:
            self.end(OSError(errno.EBADF, "the listener is closed"))

    def end(self, reason: OSError) -> None:
        """Accept no more; a waiting `accept` raises the reason."""
        self._reason = reason
        self._stack.remove_listener(self._number)
        self.wake()

    def wake(self) -> None:
        """Wake the waiting `accept`s: there is a connection, or the listener is closed."""
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)


def _close(event: _native.Opened | _native.Echoed) -> None:
    if isinstance(event, _native.Opened) and event.fd is not None:
        with contextlib.suppress(OSError):
            os.close(event.fd)

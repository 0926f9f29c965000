"""TCP/IP within the program, for systems that forbid private namespaces.

Sends requests to the stack of `_native`, which runs in a thread of its own, and converts its events
to futures of the event loop. Implements `stack.Stack`; `network` uses it.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import TYPE_CHECKING, Final

from holloway import _native
from holloway.net.datagram_transport import open_datagram_transport
from holloway.net.errors import forked, network_down
from holloway.net.inner_datagram import DatagramSocket
from holloway.net.inner_stream import UnconnectedSocket
from holloway.net.stack import WILDCARDS, Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from socket import socket as Socket  # noqa: N812  # there is a method of that name

    from holloway.device.tunnel import Tunnel
    from holloway.net.inner_socket import InnerSocket
    from holloway.net.sockets import Listener
    from holloway.net.stack import Address, AnyProtocol, Interface

PAIR_BUFFER: Final = 256 * 1024  # of a socket pair (crates/stack, net.rs)
CLOSING_SECONDS: Final = 0.001


class UserspaceStack(Stack):
    """See `stack.Stack`."""

    name = "userspace"

    def __init__(
        self, name: str, addresses: tuple[Interface, ...], mtu: int, *, buffer: int
    ) -> None:
        self._loop = asyncio.get_running_loop()
        own = [(str(address.ip), address.network.prefixlen) for address in addresses]
        self._arguments = (name, own, mtu, buffer)
        self._owner = os.getpid()
        self.buffer = min(buffer, PAIR_BUFFER)
        self._stack: _native.Stack | None = None
        self._waiting: dict[int, asyncio.Future[_native.Echoed]] = {}
        self.reason: OSError | None = network_down("the network is not open")
        self._check: Callable[[str], object] | None = None
        self.died = self._loop.create_future()

    async def open(self) -> None:
        self._stack = _native.Stack(*self._arguments)
        self.tun = self._stack.tun
        self.reason = None
        self._loop.add_reader(self._stack.fileno(), self._take_events)

    def attach(self, tunnel: Tunnel, check: Callable[[str], object]) -> None:
        """Ask `check` before connecting: here no ICMP error says what cannot be reached."""
        del tunnel
        self._check = check

    def socket(self, family: int, type: int, proto: int) -> Socket:  # noqa: A002
        native = self._open()
        kind = type & ~(socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        if family not in WILDCARDS:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        sock: InnerSocket
        if (kind, proto) in TCP:
            number, fd = native.stream()
            sock = UnconnectedSocket.make(self, fd)
        elif (kind, proto) in UDP:
            number, fd = native.datagrams()
            sock = DatagramSocket.make(self, fd)
        else:
            raise OSError(errno.EPROTONOSUPPORT, "the userspace stack has sockets for TCP and UDP")
        sock.assign(number, socket.AddressFamily(family), proto)
        if type & socket.SOCK_NONBLOCK:
            sock.setblocking(False)
        return sock

    def listen(
        self, hosts: Iterable[str], port: int, *, backlog: int, reuse_port: bool = False
    ) -> list[Listener]:
        if reuse_port:
            raise ValueError("reuse_port is not supported by the userspace stack")
        return super().listen(hosts, port, backlog=backlog)

    def start_connecting(self, address: Address) -> None:
        """Only `connect` can do that here: the descriptor alone does not say how it ends."""

    def reaches(self, host: str) -> bool:
        """Whether a peer has an address, and an endpoint; any thread may call it."""
        if self._check is not None:
            try:
                self._check(host)
            except OSError:
                return False
        return True

    def native(self) -> _native.Stack:
        """Return the stack; raises OSError where it is closed, and in a fork."""
        stack = self._open()
        if os.getpid() != self._owner:
            raise forked(self._arguments[0])
        return stack

    def _open(self) -> _native.Stack:
        if self._stack is None:
            assert self.reason is not None
            raise OSError(self.reason.errno, self.reason.strerror)
        return self._stack

    async def _datagram_transport(
        self, factory: Callable[[], AnyProtocol], sock: Socket
    ) -> tuple[asyncio.DatagramTransport, AnyProtocol]:
        assert isinstance(sock, DatagramSocket)
        return await open_datagram_transport(factory, sock)

    async def ping(self, address: str, timeout: float) -> float:
        stack = self.native()
        async with asyncio.timeout(timeout):
            echoed = await self._wait(stack.echo(address))
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

    def counts(self) -> dict[str, int]:
        """Return the counts of dropped packets and connections, by reason."""
        return self.native().counts()

    def _end_waiting(self, stack: _native.Stack, reason: OSError) -> None:
        """End what waits in the event loop, with an error."""
        self.reason = reason
        self._check = None  # with it, every socket that is left would keep the tunnel
        if self._loop.is_closed():
            return
        self._loop.remove_reader(stack.fileno())
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(OSError(reason.errno, reason.strerror))

    async def _wait(self, number: int) -> _native.Echoed:
        waiting: asyncio.Future[_native.Echoed] = self._loop.create_future()
        self._waiting[number] = waiting
        try:
            return await waiting
        except BaseException:
            if self._stack is not None:
                self._stack.cancel(number)
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
            case _native.Echoed():
                waiting = self._waiting.get(event.id)
                if waiting is not None and not waiting.done():
                    waiting.set_result(event)
            case _native.Failed():
                waiting = self._waiting.get(event.id)
                if waiting is not None and not waiting.done():
                    waiting.set_exception(OSError(event.errno, os.strerror(event.errno)))
            case _native.Ended():
                if not self.died.done():
                    reason = f"the TCP/IP thread ended: {os.strerror(event.errno)}"
                    self.died.set_result(network_down(reason))


TCP: Final = {(socket.SOCK_STREAM, 0), (socket.SOCK_STREAM, socket.IPPROTO_TCP)}
UDP: Final = {(socket.SOCK_DGRAM, 0), (socket.SOCK_DGRAM, socket.IPPROTO_UDP)}

"""The kernel's own TCP/IP, in a private network namespace whose TUN the tunnel serves.

Its sockets are ordinary kernel sockets that a helper makes in the namespace and passes here: a
socket stays in the namespace that it was made in. Implements `stack.Stack`; `network` uses it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import select
import socket
import time
import weakref
from typing import TYPE_CHECKING, Final

from holloway import _native
from holloway.net import sockets
from holloway.net.errors import network_down
from holloway.net.namespace import Namespace
from holloway.net.ping import kernel_ping
from holloway.net.stack import Stack, family_of
from holloway.netlink.sock_diag import destroy_sockets
from holloway.netlink.socket import NETLINK_SOCK_DIAG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from socket import socket as Socket  # noqa: N812  # there is a method of that name

    from holloway.device.tunnel import Tunnel
    from holloway.net.stack import Address, Interface

log = logging.getLogger(__name__)


class KernelStack(Stack):
    """See `stack.Stack`. `open` raises `NoNamespace` where the system forbids it."""

    name = "kernel"

    def __init__(self, name: str, addresses: tuple[Interface, ...], mtu: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._interface = (name, addresses, mtu)
        self._sockets: weakref.WeakSet[Socket] = weakref.WeakSet()
        self._namespace: Namespace | None = None
        self._reason = network_down("the network is not open")
        self.died = self._loop.create_future()

    @property
    def pid(self) -> int | None:
        """The helper process, None once it is closed."""
        return None if self._namespace is None else self._namespace.pid

    async def open(self) -> None:
        namespace = Namespace()
        try:
            self.tun = _native.Tun.from_fd(await namespace.start(*self._interface))
            self._sock_diag = namespace.socket(
                socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG
            )
        except BaseException:
            namespace.close()
            raise
        self._sock_diag.settimeout(1)
        self._namespace = namespace
        self._loop.add_reader(namespace.fileno(), self._helper_exited)

    def socket(self, family: int, type: int, proto: int) -> Socket:  # noqa: A002
        if self._namespace is None:
            raise self._reason
        sock = self._namespace.socket(family, type, proto)
        self._sockets.add(sock)
        return sock

    def start_connecting(self, address: Address) -> Socket:
        sock = self.socket(family_of(address[0]), socket.SOCK_STREAM, 0)
        return sockets.start_connecting(sock, address)

    def _accepted(self, connection: Socket) -> None:
        self._sockets.add(connection)

    async def ping(self, address: str, timeout: float) -> float:
        return await kernel_ping(self.socket, address, timeout)

    def attach(self, tunnel: Tunnel, check: Callable[[str], object]) -> None:
        """Let the tunnel answer unroutable packets with ICMP errors at once."""
        del check  # ICMP errors say it
        with contextlib.ExitStack() as raw:
            numbers: list[int | None] = [None, None]
            for index, (family, protocol, level, option, filter_all) in enumerate(ICMP_SOCKETS):
                with contextlib.suppress(OSError):  # this kernel may have no IPv6
                    sock = raw.enter_context(self.socket(family, socket.SOCK_RAW, protocol))
                    sock.setblocking(False)
                    sock.setsockopt(level, option, filter_all)
                    numbers[index] = sock.fileno()
            tunnel.set_icmp_sockets(numbers[0], numbers[1], None)

    async def close(self, reason: OSError) -> None:
        for _ in self._drain_turns(reason):
            await asyncio.sleep(DRAIN_SECONDS)

    def close_now(self, reason: OSError) -> None:
        for _ in self._drain_turns(reason):
            time.sleep(DRAIN_SECONDS)

    def _helper_exited(self) -> None:
        """The helper process has ended by itself."""
        assert self._namespace is not None
        self._loop.remove_reader(self._namespace.fileno())
        if not self.died.done():
            self.died.set_result(network_down(self._namespace.exit_reason()))

    def _abort(self) -> None:
        try:
            if destroy_sockets(self._sock_diag):
                return
        except OSError as error:
            log.debug("The sockets cannot be destroyed: %s", error)
        # Without CONFIG_INET_DIAG_DESTROY the sockets see an end of the stream, not an error.
        for sock in list(self._sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _drain_turns(self, reason: OSError) -> Iterator[None]:
        """Close, and yield while the last packets, resets among them, leave through the tunnel."""
        self._reason = reason
        if self._namespace is None:
            return
        namespace, self._namespace = self._namespace, None
        if not self._loop.is_closed():
            self._loop.remove_reader(namespace.fileno())
        self._abort()
        namespace.close()
        self._sock_diag.close()
        if self.died.done():
            return
        readable = select.poll()
        readable.register(self.tun.fileno(), select.POLLIN)
        for _ in range(DRAIN_TURNS):
            yield
            if not readable.poll(0):
                return


ICMP_SOCKETS: Final = (
    # They only send: every type of message to them is blocked (linux/icmp.h, icmpv6.h).
    (socket.AF_INET, socket.IPPROTO_ICMP, 255, 1, b"\xff" * 4),
    (socket.AF_INET6, socket.IPPROTO_ICMPV6, socket.IPPROTO_ICMPV6, 1, b"\xff" * 32),
)
DRAIN_TURNS: Final = 50
DRAIN_SECONDS: Final = 0.002

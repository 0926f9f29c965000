"""`Network` for plain scripts: blocking, with the event loop in a thread of its own.

`holloway.open` makes one. The sockets it returns are blocking. Any thread may use them, and the
network.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import os
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

from holloway.net.errors import not_picklable
from holloway.net.from_threads import FromThreads
from holloway.net.loop_thread import LoopThread
from holloway.net.network import Network
from holloway.net.no_answer import PING_SECONDS
from holloway.net.opening import OPEN_TIMEOUT
from holloway.net.patch import patched
from holloway.net.settings import DEFAULT_MTU, FALLBACK_NAME
from holloway.net.stack import BUFFER

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from concurrent.futures import Future
    from contextlib import _GeneratorContextManager
    from socket import socket as Socket  # noqa: N812  # there is a method of that name

    from holloway.model import Device, DeviceUpdate
    from holloway.net.keywords import AnyKey, AnyPeer, Texts
    from holloway.net.sockets import Listener
    from holloway.net.stack import Address

Result = TypeVar("Result")


def open(  # noqa: A001  # `holloway.open`, like `gzip.open`
    config: str | os.PathLike[str] | None = None,
    *,
    private_key: AnyKey | None = None,
    peers: AnyPeer | Iterable[AnyPeer] = (),
    addresses: Texts = (),
    dns: Texts = (),
    mtu: int = DEFAULT_MTU,
    listen_port: int = 0,
    name: str = FALLBACK_NAME,
    stack: str | None = None,
    buffer: int = BUFFER,
    timeout: float | None = OPEN_TIMEOUT,
) -> BlockingNetwork:
    """Open a network, from a wg-quick file's path or text, or from arguments; a context manager.

        with holloway.open("laptop.conf") as net:
            sock = net.connect("nas.home", 80, timeout=5)

        with holloway.open(
            private_key=holloway.Key.generate(),
            addresses="10.0.0.2/24",
            peers=[{"public_key": "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=",
                    "endpoint": "vpn.example.com:51820", "allowed_ips": "10.0.0.0/24"}],
        ) as net: ...

    The arguments are those of `Network`; `timeout` is for opening, and what it raises is what
    `Network.open` does.
    """
    network = Network(
        config, private_key=private_key, peers=peers, addresses=addresses, dns=dns, mtu=mtu,
        listen_port=listen_port, name=name, stack=stack, buffer=buffer, timeout=timeout,
    )  # fmt: skip
    return BlockingNetwork(network)


class BlockingNetwork(FromThreads):
    """A network that is open until `close`, or until the program ends; `open` makes one.

    Its methods are those of `Network`, and block. Any thread may use them.

    Keep it as long as its connections live: one that nothing refers to any more is closed with a
    ResourceWarning.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._loop_thread = LoopThread(network.name)
        try:
            self.run(network.open())
        except BaseException:
            self._loop_thread.stop()
            raise

    def __del__(self) -> None:
        loop_thread = getattr(self, "_loop_thread", None)  # it may not have been started
        if loop_thread is not None and loop_thread.is_this_process and not self.closed:
            try:
                self._network._abandon(self)
            finally:
                loop_thread.stop_soon()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._network._state()}>"

    def __reduce__(self) -> NoReturn:
        raise not_picklable(self.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every connection with an error, then the tunnel; does nothing in a fork."""
        if self.closed or not self._loop_thread.is_this_process:
            return
        self.run(self._network.close())
        self._loop_thread.stop()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._loop_thread.is_stopped

    @property
    def network(self) -> Network:
        """The network for asyncio; only for coroutines that `run` runs."""
        return self._network

    @property
    def name(self) -> str:
        """The configuration's name."""
        return self._network.name

    @property
    def stack(self) -> str:
        """`kernel` or `userspace`; see `stack_reason`."""
        return self._network.stack

    @property
    def stack_reason(self) -> str:
        """Why it is this stack."""
        return self._network.stack_reason

    @property
    def notes(self) -> tuple[str, ...]:
        """Which settings of the configuration do not apply to a single program."""
        return self._network.notes

    @property
    def addresses(self) -> tuple[str, ...]:
        """Our own addresses."""
        return self._network.addresses

    @property
    def failure(self) -> OSError | None:
        """Why the network ended by itself, if it did."""
        return self._network.failure

    @property
    def device(self) -> Device:
        """Keys, peers, traffic and handshakes: what `wg show` prints."""
        return self.run(_in_loop(lambda: self._network.device))

    def set(self, update: DeviceUpdate) -> None:
        """Change peers or keys while connections live; raises OSError and ConfigError."""
        self.run(_in_loop(lambda: self._network.set(update)))

    def patched(self, *, threads: bool = True) -> _GeneratorContextManager[None]:
        """Return a block in which the standard library's sockets and names are inside the tunnel.

        For libraries that take neither a socket nor a function that connects. Inside are this
        thread or task, and the tasks and, unless `threads` is False, threads that it starts.
        """
        return patched(self, threads=threads)

    def listen(
        self, port: int = 0, host: str | None = None, *, backlog: int = 100
    ) -> BlockingListener:
        """Listen on one address; without `host` on all of the family of our first one."""
        listener = self.run(self._network.listen(port, host, backlog=backlog))
        return BlockingListener(listener, self)

    def bind_udp(self, port: int = 0, host: str | None = None) -> Socket:
        """Return a UDP socket that is bound, for `recvfrom` and `sendto`.

        Without `host` it is bound to all addresses of the family of our first one.
        """
        bound = self.run(self._network.bind_udp(port, host))
        bound.setblocking(True)
        return bound

    def resolve(self, host: str, *, family: int = 0) -> list[str]:
        """Look a name up through the tunnel; see `Network.resolve`."""
        return self.run(self._network.resolve(host, family=family))

    def ping(self, host: str, timeout: float = PING_SECONDS) -> float:
        """Return the seconds until the answer to an ICMP echo request; TimeoutError."""
        return self.run(self._network.ping(host, timeout))

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._loop_thread.run(work)

    def submit(self, work: Coroutine[Any, Any, Result]) -> Future[Result]:
        """Start a coroutine in the network's event loop, without waiting for it."""
        return self._loop_thread.submit(work)

    def loop_factory(self) -> Callable[[], asyncio.AbstractEventLoop]:
        """Return what makes an event loop that connects through this network.

        For `asyncio.Runner(loop_factory=...)`; `holloway.run` does both.
        """
        from holloway.net.loop import TunnelEventLoop

        return functools.partial(TunnelEventLoop, self)


class BlockingListener:
    """A listening TCP port; a context manager."""

    def __init__(self, listener: Listener, network: BlockingNetwork) -> None:
        self._listener = listener
        self._network = network
        self._process = os.getpid()

    def __repr__(self) -> str:
        host, port = self.address[:2]
        return f"<{type(self).__name__} {host} port {port}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def address(self) -> Address:
        """The address that it listens on; the system chooses the port if 0 was asked for."""
        return self._listener.address

    def accept(self, timeout: float | None = None) -> tuple[Socket, Address]:
        """Wait for a connection; returns a blocking socket and the client's address."""

        async def wait() -> tuple[Socket, Address]:
            try:
                async with asyncio.timeout(timeout):
                    return await self._listener.accept()
            except TimeoutError:
                text = f"no connection to port {self.address[1]} within {timeout} s"
                raise TimeoutError(errno.ETIMEDOUT, text) from None

        connection, address = self._network.run(wait())
        connection.setblocking(True)
        return connection, address

    def close(self) -> None:
        """Stop listening; a waiting `accept` raises OSError. A fork closes its descriptor only."""
        if self._network.closed or os.getpid() != self._process:
            self._listener.close()
        else:
            self._network.run(_in_loop(self._listener.close))


async def _in_loop(function: Callable[[], Result]) -> Result:
    """Call a function in the loop's thread."""
    return function()

"""A peer inside a program: connections and servers inside a tunnel, as asyncio's own functions.

`Network` combines the modules beside it: `settings` reads the configuration, `running` holds the
stack and the tunnel, `connecting` and `listening` have the methods that do so. A network belongs to
one event loop, except for `socket`, which any thread may call; `blocking` is the same for plain
scripts.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from socket import AF_INET, SOCK_STREAM
from typing import TYPE_CHECKING, NoReturn, Self

from holloway.net.connecting import Connecting
from holloway.net.errors import network_down, not_picklable
from holloway.net.kernel import KernelStack
from holloway.net.key_claims import KeyClaim, calling_place
from holloway.net.listening import Listening
from holloway.net.opening import OPEN_TIMEOUT, open_within
from holloway.net.owner import running_loop
from holloway.net.settings import DEFAULT_MTU, FALLBACK_NAME, from_either
from holloway.net.stack import BUFFER, MIN_BUFFER
from holloway.text.address import numeric, site

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Hashable, Iterable
    from contextlib import _GeneratorContextManager
    from ipaddress import IPv4Address, IPv6Address
    from socket import socket as Socket  # noqa: N812  # there is a method of that name

    from holloway.model import Device, DeviceUpdate
    from holloway.net.keywords import AnyKey, AnyPeer, Texts
    from holloway.net.running import Running

log = logging.getLogger(__name__)


class Network(Connecting, Listening):
    """A WireGuard peer of this program; an async context manager, or `open` and `close`.

        async with Network("laptop.conf") as net:
            reader, writer = await net.open_connection("nas.home", 80)

    `config` is the path of a wg-quick file, or its text. Without one, the arguments are the
    settings: `addresses` are our own with their prefix lengths, `peers` are `Peer`, `PeerUpdate` or
    dicts with the names of `PeerUpdate`, `dns` name servers and search domains. Keys may be base64,
    endpoints `host:port`, also with a name, and addresses and allowed IPs text, one or several.

    `stack` is "kernel" or "userspace" to force one; None takes the kernel's where the system
    allows it. `buffer` is how many bytes a TCP connection of the userspace stack buffers at most in
    each direction; the kernel sizes its own buffers. `timeout` is for `open`, in seconds.

    Where a method listens, an empty host means all our addresses.

    It belongs to the process and the event loop that open it. Keep it as long as its connections
    live: one that is neither closed nor referred to is closed with a ResourceWarning.
    """

    def __init__(
        self,
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
    ) -> None:
        settings = from_either(
            config, private_key=private_key, peers=peers, addresses=addresses, dns=dns, mtu=mtu,
            listen_port=listen_port, name=name,
        )  # fmt: skip
        if stack not in {None, "kernel", "userspace"}:
            raise ValueError(f"no such stack: {stack!r}")
        if buffer < MIN_BUFFER:
            raise ValueError(f"a buffer holds at least {MIN_BUFFER} bytes: {buffer}")
        self._settings = settings
        self._wanted = stack
        self._buffer = buffer
        self._running: Running | None = None
        self._reason = network_down("the network is not open")
        self._place = calling_place()
        self._claim: KeyClaim | None = None
        self._has_ended = False
        self._closing: asyncio.Task[None] | None = None
        self.failure: OSError | None = None
        """Why the network ended by itself, if it did."""
        self._own = dict.fromkeys(str(address.ip) for address in settings.addresses)
        self._timeout = timeout

    @classmethod
    def from_config(
        cls,
        config: str | os.PathLike[str],
        *,
        stack: str | None = None,
        buffer: int = BUFFER,
        timeout: float | None = OPEN_TIMEOUT,
    ) -> Self:
        """Make one from a wg-quick file's path or text; raises ConfigError and OSError."""
        return cls(config, stack=stack, buffer=buffer, timeout=timeout)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._state()}>"

    def __reduce__(self) -> NoReturn:
        raise not_picklable(self.name)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __del__(self) -> None:
        # Nothing has been set if the arguments were refused.
        if getattr(self, "_running", None) is not None:
            self._abandon(self)

    async def open(self) -> Self:
        """Start within the network's `timeout`, and return the network.

        Raises TimeoutError, OSError, ConfigError, and NoNamespace for a stack that was forced.
        Raises RuntimeError if another open network of this process has the same key and a common
        peer. Without a timeout, names of endpoints are looked up as long as wg(8) does.
        """
        if self._running is not None:
            raise RuntimeError("a network can be opened only once: make a new one")
        self._claim = claim = KeyClaim(self.name, self._place, self._settings.update)
        for note in self.notes:
            log.warning("%s", note)
        try:
            running = await open_within(self._timeout, self._settings, self._wanted, self._buffer)
        except BaseException:
            claim.release()
            raise
        self.died: asyncio.Future[OSError] = asyncio.get_running_loop().create_future()
        """Done when the network ends by itself; its result is the reason."""
        self._running = running
        running.died.add_done_callback(_calling_weakly(self._fail))
        return self

    async def close(self) -> None:
        """End every connection with an error, then the tunnel; does nothing in a fork."""
        if self._running is None or not self._running.owner.is_this_process:
            return
        reason = network_down("the network is closed")
        loop = self._running.owner.loop
        if running_loop() is not loop and not loop.is_running():
            self._begin_end(reason)
            self._running.close_now(reason)
            return
        self._running.owner.require_loop()
        self._end(reason)
        if self._closing is not None:
            await asyncio.shield(self._closing)

    @property
    def name(self) -> str:
        """The configuration's name."""
        return self._settings.name

    @property
    def stack(self) -> str:
        """`kernel` or `userspace`; see `stack_reason`."""
        return self._opened_any_loop().stack.name

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
        stack = self._opened_any_loop().stack
        return stack.pid if isinstance(stack, KernelStack) else None

    @property
    def device(self) -> Device:
        """Keys, peers, traffic and handshakes: what `wg show` prints."""
        return self._opened_any_loop().tunnel.get()

    def set(self, update: DeviceUpdate) -> None:
        """Change peers or keys while connections live; raises OSError and ConfigError.

        Raises RuntimeError if another network has the same key and a common peer, as `open` does.
        """
        from holloway.net.keywords import converted

        tunnel = self._opened().tunnel
        update = converted(update)
        assert self._claim is not None
        with self._claim.changing(update):
            tunnel.set(update)

    def has_peer_for(self, address: IPv4Address | IPv6Address) -> bool:
        """Whether a peer has this address in its allowed IPs."""
        return self._opened_any_loop().tunnel.peer_of(address.packed) is not None

    def source_of(self, host: str) -> Hashable:
        """Return whose an address is: of IPv6, all that one peer has of a /64 is one source."""
        number = numeric(host)
        if number is None or number.version == 4 or self._running is None or self._has_ended:
            return host
        return self._running.tunnel.peer_of(number.packed), site(number)

    def socket(
        self,
        family: int = AF_INET,
        type: int = SOCK_STREAM,  # noqa: A002
        proto: int = 0,
    ) -> Socket:
        """Make an ordinary socket inside the tunnel, as `socket.socket` does outside.

        The userspace stack has sockets for TCP and UDP only: OSError(EPROTONOSUPPORT).
        """
        return self._opened_any_loop().stack.socket(family, type, proto)

    def patched(self, *, threads: bool = True) -> _GeneratorContextManager[None]:
        """Return a block in which the standard library's sockets and names are inside the tunnel.

        As `BlockingNetwork.patched`. For asyncio, and for blocking code in `asyncio.to_thread`; in
        the thread of the event loop itself a blocking call raises RuntimeError.
        """
        from holloway.net.from_threads import FromOtherThreads
        from holloway.net.patch import patched

        return patched(FromOtherThreads(self), threads=threads)

    def _opened(self) -> Running:
        """Return what is open; raises OSError, and RuntimeError in another event loop."""
        running = self._opened_any_loop()
        running.owner.require_loop()
        return running

    def _opened_any_loop(self) -> Running:
        """Return what is open, for methods that any thread may call."""
        if self._running is not None:
            self._running.owner.require_process()
        if self._running is None or self._has_ended:
            raise OSError(self._reason.errno, self._reason.strerror)
        return self._running

    def _state(self) -> str:
        """Return what a repr says: the name, how it is, and what it has; no key."""
        if self.failure is not None:
            state = f"ended: {self.failure.strerror}"
        elif self._closing is not None:
            state = "closed"
        elif self._running is None:
            state = "not open"
        else:
            state = f"open, {self._running.stack.name} stack"
        peers = (
            len(self._settings.update.peers)
            if self._running is None
            else self._running.tunnel.peer_count
        )
        number = f"{peers} peer{'' if peers == 1 else 's'}"
        return f"{self.name} {state}, {number}, {', '.join(self._own)}"

    def _fail(self, reason: OSError) -> None:
        """The stack or the tunnel has ended by itself: no packet passes any more."""
        if self._has_ended:
            return
        log.error("The network %s ended: %s", self.name, reason.strerror)
        self.failure = reason
        self._end(reason)
        self.died.set_result(reason)

    def _end(self, reason: OSError) -> None:
        if not self._has_ended and self._running is not None:
            self._begin_end(reason)
            closing = self._running.close(reason)
            self._closing = asyncio.get_running_loop().create_task(closing)

    def _begin_end(self, reason: OSError) -> None:
        if not self._has_ended:
            self._has_ended, self._reason = True, reason
            assert self._claim is not None
            self._claim.release()

    def _abandon(self, user: object) -> None:
        """End because nothing refers to `user` any more: this network, or its blocking twin."""
        if self._running is not None and not self._has_ended:
            self._begin_end(network_down("the network is closed"))
            self._running.abandon(user)


def _calling_weakly(fail: Callable[[OSError], None]) -> Callable[[asyncio.Future[OSError]], None]:
    """Return a callback for a future that keeps the network of `fail` from nobody's collection."""
    weak = weakref.WeakMethod(fail)

    def call(died: asyncio.Future[OSError]) -> None:
        if (method := weak()) is not None:
            method(died.result())

    return call

"""How long to wait for an answer from inside the tunnel, and why there was none.

A peer that WireGuard does not trust, a host that is off and a wrong address look the same from
here: silence. So every timeout says whether there was a handshake, and what to check. `network` and
`resolve` use this.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import os
import time
from typing import TYPE_CHECKING, Final, Self

from holloway.key import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from holloway.core.snapshot import HandshakeSnapshot
    from holloway.net.running import Running

PING_SECONDS: Final = 12.0
"""Two initiations, which are 5 s and up to 333 ms apart, and the time for the answer."""
HANDSHAKE_SECONDS: Final = 20.0
"""Where the caller sets no timeout, how long to wait for a handshake: four initiations."""
CHECK_SECONDS: Final = 5.0
"""From then on, how often to look whether the session is still there."""
DNS_PORT: Final = 53


def no_answer(running: Running, address: str, port: int | None = None) -> str:
    """Return in a sentence why an address did not answer."""
    place = address if port is None else f"{address} port {port}"
    peer = running.peer_of(address)
    handshake = None if peer is None else running.tunnel.handshake(peer)
    if handshake is None:
        return f"no answer from {place}"
    if handshake.has_session:
        age = max(0, time.time_ns() - handshake.latest_handshake) // 1_000_000_000
        return (
            f"no answer from {place} through peer {Key(handshake.public_key).base64}: the tunnel"
            f" works (latest handshake {age} s ago), so the host is off, drops the packets, or"
            " has no route back"
        )
    return _no_handshake(handshake, running.tunnel.send_error)


def _no_handshake(handshake: HandshakeSnapshot, send_error: int) -> str:
    what = f"no handshake with peer {Key(handshake.public_key).base64} at {handshake.endpoint}"
    if send_error:
        return f"{what}: the system cannot send to it: {os.strerror(send_error)}"
    if handshake.is_undecryptable:
        return f"{what}: its answers cannot be decrypted; check that PresharedKey is the same there"
    seconds = handshake.unanswered / 1e9
    return (
        f"{what}: no answer for {seconds:.1f} s; check that Endpoint is right and UDP reaches it,"
        " that each side has the other's PublicKey, and that PresharedKey is the same or on neither"
    )


@contextlib.contextmanager
def explained(running: Running, address: str, port: int | None = None) -> Iterator[None]:
    """Say why, when the body ends with a TimeoutError."""
    try:
        yield
    except TimeoutError:
        raise TimeoutError(errno.ETIMEDOUT, no_answer(running, address, port)) from None


class Attempt:
    """An attempt to connect: an async context manager that bounds it and says why it took too long.

    `before` returns the reason as long as it has not yet tried an address.
    """

    def __init__(self, timeout: float | None, before: Callable[[], str]) -> None:
        self._limit = None if timeout is None else asyncio.timeout(timeout)
        self._is_bounded = timeout is not None
        self._reason = before
        self._ends: dict[int, float] = {}

    async def __aenter__(self) -> Self:
        if self._limit is not None:
            await self._limit.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # It refers to the task, whose error refers to its frames, and so to this.
        limit, self._limit = self._limit, None
        if limit is None:
            return
        try:
            await limit.__aexit__(kind, error, traceback)
        except TimeoutError:
            raise TimeoutError(errno.ETIMEDOUT, self._reason()) from None

    def to(self, running: Running, peer: int | None, address: str, port: int) -> Trial:
        """Bound one connection: without a timeout, by the wait for a handshake."""
        self._reason = functools.partial(no_answer, running, address, port)
        trial = Trial(running, address, port)
        if peer is not None and not self._is_bounded:
            # The next address of the host may belong to the same peer.
            now = asyncio.get_running_loop().time()
            end = self._ends.setdefault(peer, now + HANDSHAKE_SECONDS)
            trial.await_handshake(peer, end)
        return trial


class Trial:
    """One connection of an attempt: an async context manager that says why it took too long.

    A class, because a generator and its wrappers cost a short connection more.
    """

    def __init__(self, running: Running, address: str, port: int) -> None:
        self._running = running
        self._place = address, port
        self._limit = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None

    def await_handshake(self, peer: int, end: float) -> None:
        """From `end` on, end it as soon as a peer has no session."""
        loop = asyncio.get_running_loop()

        def check() -> None:
            if self._running.tunnel.has_session(peer):
                self._timer = loop.call_later(CHECK_SECONDS, check)
            else:
                self._limit.reschedule(loop.time())

        self._timer = loop.call_at(end, check)

    async def __aenter__(self) -> None:
        await self._limit.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        limit = self._limit
        del self._limit  # as in `Attempt`
        with explained(self._running, *self._place):
            await limit.__aexit__(kind, error, traceback)
            if isinstance(error, TimeoutError):
                raise error

"""What an open network runs on: a stack, and the tunnel that serves the stack's TUN.

Starts both, says which inner addresses can be reached, and closes both in the right order. Knows
neither names nor asyncio's streams; `network` owns one while it is open.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import warnings
import weakref
from functools import lru_cache
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Self

from holloway.net import at_exit
from holloway.net.choose_stack import open_stack
from holloway.net.errors import network_down, no_endpoint, no_peer
from holloway.net.owner import Owner
from holloway.text.address import numeric

if TYPE_CHECKING:
    from holloway.device.tunnel import Tunnel
    from holloway.net.server import Server
    from holloway.net.settings import Settings
    from holloway.net.stack import Stack


class Running:
    """A stack and a tunnel, from `start` to `close`.

    The event loop refers to it, and it to no `Network`: so one that is forgotten can be collected.
    """

    def __init__(
        self, settings: Settings, stack: Stack, stack_reason: str, tunnel: type[Tunnel]
    ) -> None:
        self.owner = Owner(settings.name)
        self.stack = stack
        self.stack_reason = stack_reason
        self.tunnel = tunnel(stack.tun)
        self.died: asyncio.Future[OSError] = asyncio.get_running_loop().create_future()
        """Done when either ends by itself; its result is the reason."""
        self.servers: weakref.WeakSet[Server] = weakref.WeakSet()
        """What accepts connections; it is closed first."""
        self.is_closed = False
        self._closing = asyncio.Lock()
        self._own = {str(address.ip) for address in settings.addresses}
        self.tunnel.on_death = self._tunnel_died
        stack.died.add_done_callback(self._stack_died)

    @classmethod
    async def start(cls, settings: Settings, wanted: str | None, buffer: int) -> Self:
        """Open a stack and serve it; raises OSError and ConfigError, and then nothing is open."""
        stack, reason, tunnel = await _open_stack(settings, wanted, buffer)
        try:
            running = cls(settings, stack, reason, tunnel)
        except BaseException:
            await _close_stack(stack)
            raise
        try:
            running._configure(settings)
        except BaseException:
            await running.close(network_down("the network did not start"))
            raise
        at_exit.add(running)
        return running

    def check(self, address: str) -> int | None:
        """Refuse an address that cannot be reached, for the reasons of the kernel's wg_xmit.

        Returns the id of its peer, or None for an address of our own.
        """
        packed, text, is_here = _parsed(address)
        if is_here or text in self._own:
            return None
        peer = self.tunnel.peer_of(packed)
        if peer is None:
            raise no_peer(address)
        if not self.tunnel.has_endpoint(peer):
            raise no_endpoint(address)
        return peer

    def peer_of(self, address: str) -> int | None:
        """Return the id of the peer that has an address; None for an address of our own."""
        number = numeric(address)
        if number is None or address in self._own or number.is_loopback:
            return None
        return self.tunnel.peer_of(number.packed)

    async def close(self, reason: OSError) -> None:
        """End every connection with `reason`, then the tunnel.

        The tunnel goes last because it carries the resets of the connections to the other side.
        """
        async with self._closing:
            try:
                self._end_servers(reason)
                await self.stack.close(reason)
            finally:
                self._close_tunnel()

    def close_now(self, reason: OSError) -> None:
        """Like `close`, blocking: in the event loop's thread, or once the loop does not run."""
        try:
            self._end_servers(reason)
            self.stack.close_now(reason)
        finally:
            self._close_tunnel()

    def abandon(self, user: object) -> None:
        """Close what nothing refers to any more, from any thread, with a warning about its user."""
        if self.is_closed or not self.owner.is_this_process:
            return
        reason = network_down("the network was closed because nothing referred to it any more")
        try:
            text = f"unclosed network {self.owner.name}"
            warnings.warn(text, ResourceWarning, source=user, stacklevel=3)
        finally:
            self._close_soon(reason)

    def _close_soon(self, reason: OSError) -> None:
        loop = self.owner.loop
        if loop.is_running():
            with contextlib.suppress(RuntimeError):  # it was closed meanwhile
                # Later, because this may be called within any of the loop's steps.
                loop.call_soon_threadsafe(self.close_now, reason)
                return
        self.close_now(reason)

    def _end_servers(self, reason: OSError) -> None:
        if not self.owner.loop.is_closed():
            for server in list(self.servers):
                server.end(reason)

    def _close_tunnel(self) -> None:
        # A socket of the userspace stack refers to it, and must not keep the tunnel with it.
        self.stack.died.remove_done_callback(self._stack_died)
        self.tunnel.close()
        self.stack.tun.close()
        self.is_closed = True
        at_exit.remove(self)

    def _configure(self, settings: Settings) -> None:
        self.stack.attach(self.tunnel, self.check)
        self.tunnel.set(settings.update)
        self.tunnel.link_changed(up=True, mtu=settings.mtu)

    def _stack_died(self, died: asyncio.Future[OSError]) -> None:
        self._fail(died.result())

    def _tunnel_died(self, number: int) -> None:
        self._fail(network_down(f"the packet thread ended: {os.strerror(number)}"))

    def _fail(self, reason: OSError) -> None:
        if not self.died.done():
            self.died.set_result(reason)


@lru_cache(maxsize=256)
def _parsed(address: str) -> tuple[bytes, str, bool]:
    """Return a numeric address packed, in its usual notation, and whether every host has it."""
    number = numeric(address)
    assert number is not None
    if isinstance(number, IPv6Address):
        number = number.ipv4_mapped or number
    return number.packed, str(number), number.is_loopback or number.is_unspecified


async def _open_stack(
    settings: Settings, wanted: str | None, buffer: int
) -> tuple[Stack, str, type[Tunnel]]:
    """Open a stack, and load the tunnel, with its cryptography, while the helper process starts."""
    opening = asyncio.create_task(open_stack(settings, wanted, buffer))
    try:
        await asyncio.sleep(0)
        from holloway.device.tunnel import Tunnel  # 15 ms

        return *await opening, Tunnel
    except BaseException:
        opening.cancel()
        with contextlib.suppress(Exception, asyncio.CancelledError):
            await _close_stack((await opening)[0])
        raise


async def _close_stack(stack: Stack) -> None:
    try:
        await stack.close(network_down("the network did not start"))
    finally:
        stack.tun.close()

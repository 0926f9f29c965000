"""What an open network runs on: a stack, and the tunnel that serves the stack's TUN.

Starts both, says which inner addresses can be reached, and closes both in the right order. Knows
neither names nor asyncio's streams; `network` owns one while it is open.
"""

from __future__ import annotations

import asyncio
import os
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Self, cast

from holloway.device.tunnel import Tunnel
from holloway.net.choose_stack import open_stack
from holloway.net.errors import network_down, no_endpoint, no_peer
from holloway.net.kernel import KernelStack
from holloway.text.address import numeric

if TYPE_CHECKING:
    from holloway.net.settings import Settings
    from holloway.net.stack import Stack
    from holloway.net.userspace import UserspaceStack


class Running:
    """A stack and a tunnel, from `start` to `close`."""

    def __init__(self, settings: Settings, stack: Stack, stack_reason: str) -> None:
        self.stack = stack
        self.stack_reason = stack_reason
        self.tunnel = Tunnel(stack.tun)
        self.died: asyncio.Future[OSError] = asyncio.get_running_loop().create_future()
        """Done when either ends by itself; its result is the reason."""
        self._own = {str(address.ip) for address in settings.addresses}
        self.tunnel.died.add_done_callback(self._tunnel_died)
        stack.died.add_done_callback(lambda died: self._fail(died.result()))

    @classmethod
    async def start(cls, settings: Settings, wanted: str | None, buffer: int) -> Self:
        """Open a stack and serve it; raises OSError and ConfigError, and then nothing is open."""
        stack, reason = await open_stack(settings, wanted, buffer)
        try:
            running = cls(settings, stack, reason)
        except BaseException:
            await _close_stack(stack)
            raise
        try:
            running._configure(settings)
        except BaseException:
            await running.close(network_down("the network did not start"))
            raise
        return running

    def check(self, address: str) -> None:
        """Refuse an address that cannot be reached, for the reasons of the kernel's wg_xmit."""
        number = numeric(address)
        assert number is not None
        if isinstance(number, IPv6Address):
            number = number.ipv4_mapped or number
        if str(number) in self._own or number.is_loopback or number.is_unspecified:
            return
        peer = self.tunnel.peer_of(number)
        if peer is None:
            raise no_peer(address)
        if not self.tunnel.has_endpoint(peer):
            raise no_endpoint(address)

    async def close(self, reason: OSError) -> None:
        """End every connection with `reason`, then the tunnel.

        The tunnel goes last because it carries the resets of the connections to the other side.
        """
        try:
            await self.stack.close(reason)
        finally:
            self.tunnel.close()
            self.stack.tun.close()

    def _configure(self, settings: Settings) -> None:
        if isinstance(self.stack, KernelStack):
            self.stack.provide_icmp_sockets(self.tunnel)
        else:
            cast("UserspaceStack", self.stack).check = self.check
        self.tunnel.set(settings.update)
        self.tunnel.link_changed(up=True, mtu=settings.mtu)

    def _tunnel_died(self, died: asyncio.Future[int]) -> None:
        self._fail(network_down(f"the packet thread ended: {os.strerror(died.result())}"))

    def _fail(self, reason: OSError) -> None:
        if not self.died.done():
            self.died.set_result(reason)


async def _close_stack(stack: Stack) -> None:
    try:
        await stack.close(network_down("the network did not start"))
    finally:
        stack.tun.close()

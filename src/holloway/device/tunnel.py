"""The asyncio shell of one device: brain, plane and a single timer.

It hands the plane's events and the clock to `core.Device`, has local addresses follow the routes,
and is itself a `Control`: `get` shows the device, `set` changes it. Packets never come here.
`daemon` and `net` run one.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import time
from typing import TYPE_CHECKING

from holloway import _native
from holloway.core.constants import SECOND, Nanoseconds
from holloway.core.device import Device
from holloway.device import routes
from holloway.text.native import refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holloway import model
    from holloway.key import Key
    from holloway.netlink.socket import Watch

log = logging.getLogger(__name__)

EVENTS_PER_TURN = 64
"""So many events at most before timers and the UAPI have their turn."""
PATHS_A_TURN = 64
"""And for so many peers is the kernel asked for the route."""
BURST_SECONDS = 0.1
"""Routes change in bursts: one look so long after the first message serves them all."""
REST_FACTOR = 20
"""A look at all routes is followed by a rest of so many times what it took."""


class Tunnel:
    """A running device. Make it inside the event loop that is to serve it."""

    def __init__(self, tun: _native.Tun) -> None:
        self._loop = asyncio.get_running_loop()
        self._tun = tun
        self._plane = _native.Plane(tun)
        self._device = Device(self._plane, random=os.urandom, wall=time.time_ns)
        self._timer: asyncio.TimerHandle | None = None
        self._is_up = False
        self.died: asyncio.Future[int] = self._loop.create_future()
        """Resolves to an errno when the plane has ended by itself."""
        self._loop.add_reader(self._plane.fileno(), self._handle_events)
        self._routes: Watch | None = None
        self._route_timer: asyncio.TimerHandle | None = None
        # Where the system refuses netlink, silence tells that a route has moved.
        with contextlib.suppress(OSError):
            self._routes = routes.watch()
            self._watch_routes()

    @property
    def name(self) -> str:
        """The interface's name; it changes when the interface is renamed."""
        return self._tun.name

    def get(self) -> model.Device:
        """Show the device as it is now."""
        return self._device.state(self.name)

    def set(self, update: model.DeviceUpdate) -> None:
        """Apply an update whole, or raise (OSError, ConfigError) and change nothing."""
        try:
            self._device.configure(now(), update)
        finally:
            self._set_timer()

    def uapi_get(self) -> bytes:
        """Write the whole answer to `get=1` of the UAPI."""
        return self._plane.answer(*self._device.known())

    def apply(self, update: _native.Update) -> None:
        """Like `set`, of an update as the codec read it."""
        try:
            orders = update.orders()
        except _native.Refused as refused:
            raise refusal(refused) from None
        try:
            self._device.order(now(), orders)
        finally:
            self._set_timer()

    def has_endpoint(self, public_key: Key) -> bool:
        """Whether it is known where this peer is, configured or discovered."""
        return self._device.has_endpoint(public_key)

    def link_changed(self, *, up: bool, mtu: int) -> None:
        """Follow the interface: sockets are open and timers run only while it is up.

        Raises OSError if the port cannot be bound; the device then stays down.
        """
        self._plane.set_mtu(mtu)
        if up == self._is_up:
            return
        try:
            if up:
                self._device.up(now())
            else:
                self._device.down(now())
            self._is_up = up
        finally:
            self._set_timer()

    def set_icmp_sockets(self, v4: int | None, v6: int | None, conntrack: int | None) -> None:
        """Answer packets that have nowhere to go; see `_native.Plane.set_icmp_sockets`."""
        self._plane.set_icmp_sockets(v4, v6, conntrack)

    def log_level_changed(self) -> None:
        """Have the plane report what would be logged now, and nothing else."""
        self._plane.report_unreachable(log.isEnabledFor(logging.DEBUG))

    def discards(self) -> dict[str, int]:
        """Count packets and messages not passed on, by reason, plane and brain together."""
        return self._plane.discards() | self._device.discards()

    def close(self) -> None:
        """Stop. Session keys are zeroed; the TUN stays open."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._plane.fileno())
        if self._route_timer is not None:
            self._route_timer.cancel()
        if self._routes is not None:
            self._loop.remove_reader(self._routes)
            self._routes.close()
        self._plane.close()

    def _handle_events(self) -> None:
        for event in self._plane.events(EVENTS_PER_TURN):
            self._handle_event(event)
        self._set_timer()

    def _handle_event(self, event: _native.Event) -> None:
        match event:
            case _native.Handshake():
                self._device.handle_handshake(now(), event.message, event.size, event.remote)
            case _native.SessionNeeded():
                self._device.handle_session_needed(now(), event.peer)
            case _native.DebtBegan():
                self._device.handle_debt_began(now(), event.peer)
            case _native.Confirmed():
                self._device.handle_confirmed(now(), event.peer)
            case _native.SendFailing(errno=0):
                log.error("Sending works again")
            case _native.SendFailing():
                log.error("Cannot send: %s", os.strerror(event.errno))
            case _native.Unreachable(peer=None):
                log.debug("No peer has allowed IPs matching %s", event.destination)
            case _native.Unreachable():
                log.debug(
                    "No valid endpoint has been configured or discovered for peer %d", event.peer
                )
            case _native.Died():
                self._resolve_died(event.errno)

    def _resolve_died(self, number: int) -> None:
        if number != errno.EBADFD:
            log.error("The packet thread ended: %s", os.strerror(number))
        if not self.died.done():
            self.died.set_result(number)

    def _watch_routes(self) -> None:
        """Look at the routes once they have changed.

        From the first message to the end of the rest nobody listens: the kernel keeps some of what
        it says meanwhile, so that there is another look, and drops the rest of a burst.
        """
        if self._routes is not None:
            self._loop.add_reader(self._routes, self._routes_changed, self._routes)

    def _routes_changed(self, watching: Watch) -> None:
        def check() -> None:
            watching.drain()
            self._continue_route_check(self._validate_sources(), self._loop.time())

        self._loop.remove_reader(watching)
        self._route_timer = self._loop.call_later(BURST_SECONDS, check)

    def _continue_route_check(self, looking: Iterator[bool], began: float) -> None:
        """Look for one turn, and again in the next one; rest when all is seen."""
        try:
            goes_on = next(looking, False)
        except OSError as error:
            log.debug("Unable to look at the routes: %s", error.strerror)
            goes_on = False
        if goes_on:
            self._route_timer = self._loop.call_later(0, self._continue_route_check, looking, began)
        else:
            rest = REST_FACTOR * (self._loop.time() - began)
            self._route_timer = self._loop.call_later(rest, self._watch_routes)

    def _validate_sources(self) -> Iterator[bool]:
        """Ask of each peer whether it is still answered by the road that it came by."""
        paths = self._plane.sticky_sources()
        if not paths:
            return
        with routes.Routes(*self._device.port_and_mark) as kernel:
            for start in range(0, len(paths), PATHS_A_TURN):
                for peer, path in paths[start : start + PATHS_A_TURN]:
                    valid = kernel.is_symmetric(path)
                    if valid is not None:
                        self._plane.set_source_valid(peer, path, valid)
                yield True

    def _set_timer(self) -> None:
        due = self._device.next_timeout()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due is not None:
            delay = max(0, due - now()) / SECOND
            self._timer = self._loop.call_later(delay, self._handle_timeout)

    def _handle_timeout(self) -> None:
        self._timer = None
        self._device.handle_timeout(now())
        self._set_timer()


def now() -> Nanoseconds:
    """CLOCK_BOOTTIME: sessions must age while the machine sleeps."""
    return Nanoseconds(time.clock_gettime_ns(time.CLOCK_BOOTTIME))

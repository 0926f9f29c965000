"""The shell of one device: brain, plane and a single timer.

It passes the plane's events and the clock to `core.Device`, keeps local addresses in line with the
routes, and is itself a `Control`: `get` returns the device, `set` changes it. Packets stay in the
plane. `daemon` and `net` run one.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import time
from typing import TYPE_CHECKING, TypeVar

from holloway import _native
from holloway.core.constants import SECOND, Nanoseconds
from holloway.core.device import Device
from holloway.core.sent_initiations import SentInitiations
from holloway.device.discard_log import DiscardLog
from holloway.device.error_log import ErrorLog
from holloway.key import Key
from holloway.netlink import groups
from holloway.netlink.socket import Watch
from holloway.text.native import State, Update, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from holloway import model
    from holloway.core.peer import Peer
    from holloway.core.snapshot import HandshakeSnapshot
    from holloway.device.event_loop import EventLoop, TimerHandle
    from holloway.device.routes import Routes
    from holloway.device.underlay import Underlay

log = logging.getLogger(__name__)
Item = TypeVar("Item")

EVENTS_PER_TURN = 64
"""The most events handled before timers and the UAPI get their turn."""
PATHS_A_TURN = 64
"""The most peers whose route is looked up in one turn."""
BURST_SECONDS = 0.1
"""The wait after the first message: routes change in bursts, and one check serves them all."""
SENT_INITIATIONS = SentInitiations()
"""Of all tunnels of this process."""
PAUSE_FACTOR = 20
"""After a check of all routes, this many times its duration passes before the next one."""
KEEPALIVE_PAUSE = 1.0
"""The least wait after a check that has sent keepalives."""


def find_holder(port: int) -> str | None:
    """Name who has a port; see `listen_port.holder`."""
    from holloway.netlink.listen_port import holder

    return holder(port)


class Tunnel:
    """A running device. Create it in the thread of the event loop that serves it.

    That is asyncio's running loop if none is given.
    """

    def __init__(
        self,
        tun: _native.Tun,
        port_holder: Callable[[int], str | None] = find_holder,
        loop: EventLoop | None = None,
    ) -> None:
        self._loop = loop or _running_loop()
        self._tun = tun
        self._port_holder = port_holder
        self._plane = _native.Plane(tun)
        self._device = Device(
            self._plane,
            random=os.urandom,
            wall=time.time_ns,
            sent_initiations=SENT_INITIATIONS,
        )
        self._timer: TimerHandle | None = None
        # Without the brain's counts: it logs each message that it discards, with its sender.
        self._discard_log = DiscardLog(self._loop, self._plane.discards, self._plane_discards)
        self._error_log = ErrorLog(time.monotonic)
        self._is_up = False
        self._listen_error = 0  # why the port is not bound although the interface is up
        self.send_error = 0
        """The errno because of which the last UDP packets could not be sent; 0 if they were."""
        self.on_death: Callable[[int], object] = _ignore
        """Called with an errno when the plane has ended by itself."""
        self._loop.add_reader(self._plane.fileno(), self._handle_events)
        self._routes: Watch | None = None
        self._route_timer: TimerHandle | None = None
        self._underlay: Underlay | None = None
        self.reconnects = True
        """Whether data under an unknown index from a peer's endpoint starts a handshake."""
        self.session_began: Callable[[], object] = lambda: None
        """Called after one or more sessions have begun."""
        self._sessions_begun = 0
        self._keepalive_pause = 0.0
        # Without netlink, a peer that no longer answers is the only sign that a route has moved.
        with contextlib.suppress(OSError):
            self._routes = Watch(groups.ROUTES)
            self._watch_routes()

    @property
    def name(self) -> str:
        """The interface's name; it changes when the interface is renamed."""
        return self._tun.name

    @property
    def peer_count(self) -> int:
        """How many peers there are; any thread may ask."""
        return self._device.peer_count

    def get(self) -> model.Device:
        """Return the device as it is now."""
        from holloway.text.convert import device_of

        return device_of(self.state(), self.name)

    def set(self, update: model.DeviceUpdate) -> None:
        """Apply an update whole, or raise (OSError, ConfigError) and change nothing."""
        from holloway.text.convert import update_of

        self.apply(update_of(update))

    def state(self) -> State:
        """Like `get`, in the codec's form."""
        snapshot = self._device.snapshot()
        return self._plane.state(snapshot._replace(listen_error=self._listen_error))

    def apply(self, update: Update) -> None:
        """Like `set`, for an update in the codec's form."""
        try:
            with self._changing(update.listen_port):
                self._device.apply(now(), update)
        except _native.Refused as refused:
            raise refusal(refused) from None

    def peer_of(self, address: bytes) -> int | None:
        """Return the id of the peer whose allowed IPs contain an inner address, packed."""
        return self._plane.lookup_allowed_ip(address)

    def has_endpoint(self, peer: int) -> bool:
        """Whether the peer with this id has an endpoint, configured or discovered."""
        return self._device.has_endpoint(peer)

    def has_session(self, peer: int) -> bool:
        """Whether the peer with this id has a session that is not known to be dead."""
        return self._device.has_session(now(), peer)

    def handshake(self, peer: int) -> HandshakeSnapshot | None:
        """Return how it goes with the handshake of the peer with this id, if there is one."""
        return self._device.handshake(now(), peer)

    def remember(self, had_session: Mapping[bytes, _native.Endpoint]) -> None:
        """Initiate to these peers once they are set; see `core.Device.remember`."""
        self._device.remember(now(), had_session)

    def sessions(self) -> Iterator[tuple[bytes, str, int, Nanoseconds]]:
        """Yield public key, endpoint and end of the session of each peer that has one."""
        for peer in self._device.with_session(now()):
            endpoint = peer.plane.endpoint
            if endpoint is not None:
                yield peer.public_key, endpoint.host, endpoint.port, peer.session_ends_at

    def link_changed(self, *, up: bool, mtu: int) -> None:
        """Follow the interface: sockets are open and timers run only while it is up.

        Raises OSError if the port cannot be bound. The device then stays down, and says so in `get`
        as long as the interface is up.
        """
        self._plane.set_mtu(mtu)
        self._listen_error = 0
        if up != self._is_up:
            self._bring(up=up)

    def set_icmp_sockets(self, v4: int | None, v6: int | None, conntrack: int | None) -> None:
        """Answer packets without a peer or an endpoint; see `_native.Plane.set_icmp_sockets`."""
        self._plane.set_icmp_sockets(v4, v6, conntrack)

    def log_level_changed(self) -> None:
        """Have the plane report, and counters compared, only if that would be logged."""
        verbose = log.isEnabledFor(logging.DEBUG)
        self._plane.report_unreachable(verbose)
        self._discard_log.enable(verbose)

    def discards(self) -> dict[str, int]:
        """Return the counts of discarded packets and messages by reason, of plane and brain."""
        return self._plane.discards() | self._device.discards()

    def uapi_discards(self) -> bytes:
        """Return the answer to `discards=1` of the UAPI, without the errno line that ends it."""
        from holloway.text.discards import Discards, dump_answer

        peers = {Key(peer.public_key): counts for peer, counts in self._device.peer_discards()}
        return dump_answer(Discards(self.discards(), peers))

    def close(self) -> None:
        """Stop. Session keys are zeroed; the TUN stays open."""
        self.on_death = _ignore
        if self._timer is not None:
            self._timer.cancel()
        self._discard_log.enable(wanted=False)
        if self._route_timer is not None:
            self._route_timer.cancel()
        if not self._loop.is_closed():
            self._loop.remove_reader(self._plane.fileno())
            if self._routes is not None:
                self._loop.remove_reader(self._routes)
        if self._routes is not None:
            self._routes.close()
        self._plane.close()

    def _plane_discards(self) -> Iterator[tuple[int, str, dict[str, int]]]:
        """Yield the number and name of each peer, and the plane's counts for it."""
        for peer, _ in self._device.peer_discards():
            yield peer.plane.id, str(peer), peer.plane.discards()

    @contextlib.contextmanager
    def _changing(self, listen_port: int | None) -> Iterator[None]:
        """Refuse a port that is taken, also while the interface is down and the port not bound."""
        if listen_port and not self._is_up:
            from holloway.netlink.listen_port import require_free

            require_free(listen_port, self._port_holder)
        try:
            yield
        except OSError as error:
            raise self._naming_port(error, listen_port or 0) from None
        finally:
            self._set_timer()
        if self._listen_error and listen_port is not None:
            with contextlib.suppress(OSError):
                self._bring(up=True)

    def _bring(self, *, up: bool) -> None:
        self._listen_error = 0
        try:
            if up:
                self._device.up(now())
            else:
                self._device.down(now())
            self._is_up = up
        except OSError as error:
            self._listen_error = error.errno or errno.EIO
            raise self._naming_port(error, self._device.port_and_mark[0]) from None
        finally:
            self._set_timer()

    def _naming_port(self, error: OSError, listen_port: int) -> OSError:
        """Return the error; if the port is taken, one that names the port and who has it."""
        if error.errno == errno.EADDRINUSE and listen_port:
            from holloway.netlink.listen_port import port_in_use

            return port_in_use(listen_port, self._port_holder)
        return error

    def _handle_events(self) -> None:
        for event in self._plane.events(EVENTS_PER_TURN):
            try:
                self._handle_event(event)
            except Exception:  # a defect must not cost the events behind this one
                self._error_log.log_exception(f"the event {type(event).__name__}")
        self._set_timer()
        if self._sessions_begun != self._device.sessions_begun:
            self._sessions_begun = self._device.sessions_begun
            self.session_began()

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
            case _native.CookieReceived():
                self._device.handle_cookie_received(now(), event.peer)
            case _native.UnknownIndex():
                if self.reconnects:
                    self._device.handle_unknown_index(now(), event.peer)
            case _native.SendFailing(errno=0):
                self.send_error = 0
                log.error("Sending works again")
            case _native.SendFailing():
                self.send_error = event.errno
                log.error("Cannot send: %s", os.strerror(event.errno))
            case _native.Unreachable(peer=None):
                log.debug("No peer has allowed IPs matching %s", event.destination)
            case _native.Unreachable():
                log.debug(
                    "No valid endpoint has been configured or discovered for peer %d", event.peer
                )
            case _native.Died():
                self._report_death(event.errno)

    def _report_death(self, number: int) -> None:
        if number != errno.EBADFD:
            log.error("The packet thread ended: %s", os.strerror(number))
        self.on_death(number)

    def _watch_routes(self) -> None:
        """Check the routes once they change.

        From the first message to the end of the pause nobody reads the socket. The kernel queues
        some of the messages that come meanwhile, which causes another check, and drops the others.
        """
        if self._routes is not None:
            self._loop.add_reader(self._routes, self._routes_changed, self._routes)

    def _routes_changed(self, watching: Watch) -> None:
        def check() -> None:
            moved = self._may_have_moved(watching)
            self._continue_route_check(self._follow_routes(moved=moved), self._loop.time())

        self._loop.remove_reader(watching)
        self._route_timer = self._loop.call_later(BURST_SECONDS, check)

    def _continue_route_check(self, checks: Iterator[bool], began: float) -> None:
        """Check for one turn and continue in the next; pause when all routes are checked."""
        try:
            goes_on = next(checks, False)
        except OSError as error:
            log.debug("Unable to check the routes: %s", error.strerror)
            goes_on = False
        if goes_on:
            self._route_timer = self._loop.call_later(0, self._continue_route_check, checks, began)
        else:
            pause = max(PAUSE_FACTOR * (self._loop.time() - began), self._keepalive_pause)
            self._keepalive_pause = 0.0
            self._route_timer = self._loop.call_later(pause, self._watch_routes)

    def _may_have_moved(self, watching: Watch) -> bool:
        """Take the messages, and return whether our address may be another one for the peers."""
        from holloway.device.underlay import Underlay

        if self._underlay is None:
            self._underlay = Underlay()
        try:
            own = socket.if_nametoindex(self._tun.name)
        except OSError:
            own = 0  # it is in another namespace, or in this program
        return self._underlay.changed(watching.drain(), own) or watching.has_lost

    def _follow_routes(self, *, moved: bool) -> Iterator[bool]:
        """Check the paths to all peers, a turn at a time; notify them if we may have moved."""
        paths = self._plane.sticky_sources()
        peers = self._device.with_session(now()) if moved else []
        if not paths and not peers:
            return
        from holloway.device import routes

        with routes.Routes(*self._device.port_and_mark) as kernel:
            for some in _turns(paths):
                self._validate_sources(kernel, some)
                yield True
            for each in _turns(peers):
                self._send_keepalives(kernel, each)
                yield True

    def _validate_sources(
        self, kernel: Routes, paths: Iterable[tuple[int, _native.Endpoint]]
    ) -> None:
        """Check for each peer whether answers still take the path that its packets came by."""
        for peer, path in paths:
            valid = kernel.is_symmetric(path)
            if valid is not None:
                self._plane.set_source_valid(peer, path, valid)

    def _send_keepalives(self, kernel: Routes, peers: Iterable[Peer[_native.Endpoint]]) -> None:
        """Have peers learn where we are, as far as there is a route to them."""
        for peer in peers:
            endpoint = peer.plane.endpoint
            # A session may have ended since the check began, or the peer be removed.
            if endpoint is None or not peer.has_session(now()) or not kernel.is_reachable(endpoint):
                continue
            self._keepalive_pause = KEEPALIVE_PAUSE
            peer.keep_alive(now(), at_once=True)
        self._set_timer()

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
        try:
            self._device.handle_timeout(now())
        except Exception:  # the next turn handles the timers behind this one
            self._error_log.log_exception("an expired timer")
        self._set_timer()


def _turns(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Split what is to be done for many peers into turns."""
    return (items[start : start + PATHS_A_TURN] for start in range(0, len(items), PATHS_A_TURN))


def _running_loop() -> EventLoop:
    import asyncio  # a device has a loop of its own, and does without

    return asyncio.get_running_loop()


def _ignore(_: int) -> None:
    """Nobody waits for the end of this tunnel."""


def now() -> Nanoseconds:
    """Return CLOCK_BOOTTIME: sessions must age while the machine sleeps."""
    return Nanoseconds(time.clock_gettime_ns(time.CLOCK_BOOTTIME))

"""The device process: a TUN, a UAPI socket, signals, and a `Tunnel` between them.

It behaves as wireguard-go does, so that the original `wg-quick` can start it: it ends when its
socket or its interface is removed. It drops its privileges before it reads a packet or a request;
a `Monitor` next to it keeps some. `cli.device` reads the environment, forks and calls it.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import importlib
import logging
import os
import signal
import socket
from typing import TYPE_CHECKING

from holloway import _native
from holloway.device import confinement, session_record
from holloway.device.link import LinkWatch
from holloway.device.loop import DeviceLoop
from holloway.device.privileged import record_path
from holloway.device.resident import Resident
from holloway.device.session_record import Session, SessionRecord, load
from holloway.device.stream import Server
from holloway.device.tun_settings import is_persistent
from holloway.device.tunnel import Tunnel, now
from holloway.device.uapi_server import UapiConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from holloway.device.log import DeviceLog
    from holloway.device.loop import Timer
    from holloway.device.privileged import Privileged
    from holloway.device.uapi_listener import SocketWatch, UapiSocket
    from holloway.netlink.socket import Watch

log = logging.getLogger(__name__)

GC_THRESHOLD = 100_000
"""Allocations between two runs of the cycle collector; Python's default is 700."""
LOADED_LATE = (
    "holloway.device.routes",
    "holloway.device.underlay",
    "holloway.netlink.listen_port",
    "holloway.text.discards",
)
"""The modules that `tunnel` and the modules below it import within functions."""
RETRY_SECONDS = 5
"""The wait before a device that could not come up tries again."""


def serve(
    tun: _native.Tun,
    uapi: UapiSocket,
    privileged: Privileged,
    device_log: DeviceLog,
    ready: Callable[[], None],
) -> None:
    """Run a device until it ends; `ready` is called once its socket answers.

    Drops all privileges but those of the calls of `privileged`.
    """
    # Peers live long and contain hardly any cycles. With Python's default threshold the collector
    # would scan them again and again while ten thousand peers are set.
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    gc.enable()
    listener = socket.socket(fileno=uapi.listener.detach())
    had_session = load(record_path(uapi.path), now()) if session_record.wanted() else {}
    try:
        load_all()
        resident = Resident()
        resident.release()
        if confinement.wanted():
            confinement.confine_device()
        Daemon(tun, listener, uapi.watch, privileged, device_log).run(ready, resident, had_session)
    finally:
        privileged.end()


def load_all() -> None:
    """Load what would else be loaded when it is first used.

    The device's user may be unable to read Python's files, as in a home directory of root's.
    """
    for name in LOADED_LATE:
        importlib.import_module(name)


class Daemon:
    """One device from start to end."""

    def __init__(
        self,
        tun: _native.Tun,
        listener: socket.socket,
        socket_watch: SocketWatch,
        privileged: Privileged,
        device_log: DeviceLog,
    ) -> None:
        self._loop = DeviceLoop()
        self._tun = tun
        self._listener = listener
        self._socket_watch = socket_watch
        self._privileged = privileged
        self._log = device_log
        self._last_error: str | None = None
        self._is_deleted = False
        self._death = 0
        self._retry: Timer | None = None
        self._record: SessionRecord | None = None

    def run(
        self,
        ready: Callable[[], None],
        resident: Resident,
        had_session: Mapping[bytes, _native.Endpoint],
    ) -> None:
        """Serve until a signal, or until the interface or the socket is gone.

        `ready` is called once the socket answers. `had_session` is what an earlier device recorded.
        """
        with contextlib.ExitStack() as stack:
            stack.callback(self._loop.close)
            self._start_tunnel(stack)
            self._start_record(stack, had_session)
            self._watch_link(stack)
            self._watch_socket(stack)
            for number in (signal.SIGTERM, signal.SIGINT):
                self._loop.add_signal_handler(number, self._loop.stop)
            server = Server(
                self._loop, self._listener, lambda: UapiConnection(self._tunnel, self._log)
            )
            stack.callback(server.close)
            log.info("UAPI listener started")
            ready()
            notify("READY=1")
            resident.release()
            self._loop.run()
            notify("STOPPING=1")
            self._report_discards()
            self._release()
            log.info("Shutting down")
        log.debug("Interface destroyed")

    def _start_tunnel(self, stack: contextlib.ExitStack) -> None:
        self._tunnel = Tunnel(self._tun, self._privileged.port_holder, self._loop)
        stack.callback(self._tunnel.close)
        self._tunnel.on_death = self._die
        self._log.observe(self._tunnel.log_level_changed)
        log.debug("Interface created")

    def _start_record(
        self, stack: contextlib.ExitStack, had_session: Mapping[bytes, _native.Endpoint]
    ) -> None:
        self._tunnel.reconnects = session_record.wanted()
        if not self._tunnel.reconnects:
            return
        self._tunnel.remember(had_session)
        self._record = SessionRecord(
            self._loop, self._privileged, lambda: map(Session._make, self._tunnel.sessions())
        )
        self._tunnel.session_began = self._record.schedule
        stack.callback(self._record.close)

    def _watch_link(self, stack: contextlib.ExitStack) -> None:
        self._link = LinkWatch(self._tun.fileno(), self._open_link_sockets)
        stack.callback(self._link.close)
        self._loop.add_reader(self._link.fileno(), self._update_link_state)
        stack.callback(lambda: self._loop.remove_reader(self._link.fileno()))
        self._update_link_state()

    def _open_link_sockets(self) -> Watch:
        """Open what depends on the network namespace of the interface."""
        sockets = self._privileged.link_sockets()
        self._tunnel.set_icmp_sockets(*sockets.icmp_filenos())
        sockets.close_icmp()
        return sockets.watch

    def _update_link_state(self) -> None:
        """Pass the interface's state to the tunnel; try again later if that fails."""
        self._loop.remove_reader(self._link.fileno())
        try:
            state = self._link.state()
        except OSError as error:
            if error.errno == errno.EBADFD:
                self._delete()
                return
            self._retry_later(f"Unable to follow the interface: {error.strerror}")
        else:
            try:
                if state.was_down:  # sessions end even if it is up again: device.c, wg_stop
                    self._tunnel.link_changed(up=False, mtu=state.mtu)
                self._tunnel.link_changed(up=state.up, mtu=state.mtu)
            except OSError as error:
                self._retry_later(f"{error.strerror}; trying again every {RETRY_SECONDS} seconds")
            else:
                self._last_error = None
        self._loop.add_reader(self._link.fileno(), self._update_link_state)

    def _retry_later(self, message: str) -> None:
        """Log a message unless it repeats the last one, and schedule the next attempt."""
        if message != self._last_error:
            self._last_error = message
            log.error("%s", message)
        if self._retry is not None:
            self._retry.cancel()
        self._retry = self._loop.call_later(RETRY_SECONDS, self._update_link_state)

    def _die(self, number: int) -> None:
        self._death = number
        self._loop.stop()

    def _delete(self) -> None:
        """End, because the interface or the socket was removed."""
        self._is_deleted = True
        self._loop.stop()

    def _release(self) -> None:
        """Leave what belongs to an end, rather than to a crash.

        After a signal another device may follow, so the sessions are written down; it makes the
        interface anew.
        """
        number = self._death
        if number and number != errno.EBADFD:
            raise OSError(number, f"The packet thread ended: {os.strerror(number)}")
        if self._record is not None:
            if self._is_deleted or number:
                self._record.remove()
            else:
                self._record.write()
        if is_persistent():
            with contextlib.suppress(OSError):  # the interface is gone
                self._tun.set_persistent(False)

    def _report_discards(self) -> None:
        """Log how many packets the device discarded, by reason."""
        counts = self._tunnel.discards()
        reasons = [f"{count} {reason}" for reason, count in counts.items() if count]
        log.info("Packets not passed on: %s", ", ".join(reasons) or "none")

    def _watch_socket(self, stack: contextlib.ExitStack) -> None:
        """End when the socket is removed."""
        watch = self._socket_watch
        stack.callback(watch.close)

        def check() -> None:
            if watch.removed():
                self._delete()

        self._loop.add_reader(watch.fileno(), check)
        stack.callback(self._loop.remove_reader, watch.fileno())


def notify(state: str) -> None:
    """Notify systemd if it asks for it (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, contextlib.suppress(OSError):
        sender.sendto(state.encode(), address)

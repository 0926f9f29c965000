"""The device process: a TUN, a UAPI socket, signals, and a `Tunnel` between them.

It behaves as wireguard-go does, so that the original `wg-quick` can start it: it ends when its
socket or its interface is removed. It drops its privileges before it reads a packet or a request;
a `Monitor` next to it keeps some. `cli.device` reads the environment, forks and calls it.
"""

from __future__ import annotations

import asyncio
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
from holloway.core.noise import Identity
from holloway.device import confinement, link, shards
from holloway.device.link import LinkWatch
from holloway.device.monitor import Monitor
from holloway.device.privileged import PrivilegedCalls
from holloway.device.tunnel import Tunnel
from holloway.device.uapi_server import SocketWatch, UapiConnection

if TYPE_CHECKING:
    from collections.abc import Callable

    from holloway.device.log import DeviceLog
    from holloway.device.privileged import Privileged
    from holloway.netlink.socket import Watch

log = logging.getLogger(__name__)

DEFAULT_MTU = 1420  # wireguard-go, kernel device.c: 1500 less the overhead over IPv6
GC_THRESHOLD = 100_000
"""Allocations between two runs of the cycle collector; Python's default is 700."""
LOADED_LATE = (
    "holloway.device.routes",
    "holloway.netlink.listen_port",
    "holloway.text.convert",
    "holloway.text.discards",
)
"""The modules that `tunnel` and the modules below it import within functions."""
RETRY_SECONDS = 5
"""The wait before a device that could not come up tries again."""


def open_tun(name: str) -> _native.Tun:
    """Create the interface with the settings of a WireGuard interface, and a queue for each shard.

    Raises ValueError if the number of shards in the environment is wrong.
    """
    tun = _native.Tun(name, DEFAULT_MTU, shards.limit())
    link.configure_tun(tun.name)
    return tun


def serve(
    tun: _native.Tun, listener: socket.socket, device_log: DeviceLog, ready: Callable[[], None]
) -> None:
    """Run a device until it ends; `ready` is called once its socket answers."""
    # Peers live long and contain hardly any cycles. With Python's default threshold the collector
    # would scan them again and again while ten thousand peers are set.
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    gc.enable()
    path = listener.getsockname()
    watch = SocketWatch(path)
    privileged = drop_privileges(PrivilegedCalls(tun, path), listener, watch)

    async def run() -> None:
        await Daemon(tun, listener, watch, privileged, device_log).run(ready)

    try:
        asyncio.run(run())
    finally:
        privileged.end()


def drop_privileges(calls: Privileged, listener: socket.socket, watch: SocketWatch) -> Privileged:
    """Confine this process, and return the calls, which a monitor makes from now on."""
    if not confinement.wanted():
        return calls

    def prepare() -> None:
        listener.close()  # else clients could connect to a device that is gone
        watch.close()
        confinement.confine_monitor()

    _load_all()
    monitor = Monitor.start(calls, prepare)
    confinement.confine_device()
    return monitor


def _load_all() -> None:
    """Load what would else be loaded when it is first used.

    The device's user may be unable to read Python's files, as in a home directory of root's.
    """
    for name in LOADED_LATE:
        importlib.import_module(name)
    identity = Identity.of(os.urandom(32))
    identity.static_static(identity.remote)


class Daemon:
    """One device from start to end. Create it inside the event loop."""

    def __init__(
        self,
        tun: _native.Tun,
        listener: socket.socket,
        socket_watch: SocketWatch,
        privileged: Privileged,
        device_log: DeviceLog,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._tun = tun
        self._listener = listener
        self._socket_watch = socket_watch
        self._privileged = privileged
        self._log = device_log
        self._ended = asyncio.Event()
        self._last_error: str | None = None
        self._retry: asyncio.TimerHandle | None = None

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until a signal, or until the interface or the socket is gone.

        `ready` is called once the socket answers.
        """
        with contextlib.ExitStack() as stack:
            self._start_tunnel(stack)
            self._watch_link(stack)
            self._watch_socket(stack)
            for number in (signal.SIGTERM, signal.SIGINT):
                self._loop.add_signal_handler(number, self._ended.set)
            # Not `create_unix_server`: that of Python 3.13 wants to remove the socket's file.
            server = await self._loop.create_server(
                lambda: UapiConnection(self._tunnel, self._log), sock=self._listener
            )
            stack.callback(server.close)
            log.info("UAPI listener started")
            ready()
            notify("READY=1")
            await self._ended.wait()
            notify("STOPPING=1")
            self._report_discards()
            log.info("Shutting down")
        log.debug("Interface destroyed")

    def _start_tunnel(self, stack: contextlib.ExitStack) -> None:
        self._tunnel = Tunnel(self._tun, self._privileged.port_holder)
        stack.callback(self._tunnel.close)
        self._tunnel.died.add_done_callback(lambda _: self._ended.set())
        self._log.observe(self._tunnel.log_level_changed)
        log.debug("Interface created")

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
                self._ended.set()
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
                self._ended.set()

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

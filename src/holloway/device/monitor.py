"""The monitor: a process that keeps some of root's rights, so that the device need not have them.

As in OpenSSH's privilege separation. The device's process forks it before it drops its own rights,
and asks it for the calls of `privileged`. A request has a fixed length and names no path, process
or namespace, so a device that was taken over can make these calls and no others. The monitor ends
when the device has ended, however that happened, and removes the UAPI socket.

It is forked before the device loads its modules, and this module imports next to nothing: what the
two processes have loaded by then is soon in memory twice, because Python writes to it.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` loads `enum` and `re`
import _socket
import errno
import os
import struct

from holloway.device import confinement
from holloway.device.link_sockets import LinkSockets
from holloway.device.privileged import PrivilegedCalls
from holloway.device.resident import Resident
from holloway.netlink.socket import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final, NoReturn

    from holloway import _native
    from holloway.device.privileged import Privileged
    from holloway.device.uapi_listener import UapiSocket

REQUEST: Final = struct.Struct("=IBH")  # its number, the call, a port
ANSWER: Final = struct.Struct("=IiB")  # the request's number, an errno, which descriptors come
INT: Final = struct.Struct("=i")
MAX_ANSWER: Final = 1024
LINK_SOCKETS: Final = 1
PORT_HOLDER: Final = 2
NEW_RECORD: Final = 3
KEEP_RECORD: Final = 4
DESCRIPTORS: Final = 4
ANSWER_SECONDS: Final = 30.0
"""The limit of a wait for an answer: the monitor may have been stopped (SIGSTOP)."""


def start_monitor(tun: _native.Tun, uapi: UapiSocket) -> Privileged:
    """Fork the monitor, and return the calls that it makes; without one, this process makes them.

    No thread may run yet.
    """
    calls = PrivilegedCalls(tun, uapi.path)
    if not confinement.wanted():
        return calls

    def prepare() -> None:
        uapi.close()  # else clients could connect to a device that is gone
        Resident().release()
        confinement.confine_monitor()

    return Monitor.start(calls, prepare)


class Monitor:
    """The device's side: makes the calls of `Privileged` by the monitor."""

    def __init__(self, channel: _socket.socket, process: int) -> None:
        self._channel = channel
        self._process = process
        self._number = 0

    @classmethod
    def start(cls, calls: Privileged, prepare: Callable[[], None]) -> Monitor:
        """Fork a monitor that makes `calls`; it first runs `prepare`. No thread may run yet."""
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        process = os.fork()
        if process == 0:
            try:
                ours.close()
                prepare()
                _serve(theirs, calls)
            finally:
                os._exit(1)
        theirs.close()
        ours.settimeout(ANSWER_SECONDS)
        return cls(ours, process)

    def link_sockets(self) -> LinkSockets:
        _, present, descriptors = self._call(LINK_SOCKETS)
        opened = iter(descriptors)
        watch, *icmp = (next(opened) if present & 1 << number else None for number in range(4))
        if watch is None:
            raise _protocol_error()
        v4, v6, conntrack = (None if fd is None else _socket.socket(fileno=fd) for fd in icmp)
        return LinkSockets(Watch.from_fd(watch), v4, v6, conntrack)

    def port_holder(self, port: int) -> str | None:
        try:
            text, _, _ = self._call(PORT_HOLDER, port)
        except OSError:
            return None
        return text.decode(errors="replace") or None

    def new_record(self) -> int:
        _, _, descriptors = self._call(NEW_RECORD)
        if not descriptors:
            raise _protocol_error()
        return descriptors[0]

    def keep_record(self) -> None:
        self._call(KEEP_RECORD)

    def end(self) -> None:
        """Have the monitor remove the UAPI socket, and wait until it has ended."""
        self._channel.close()
        os.waitpid(self._process, 0)

    def _call(self, call: int, port: int = 0) -> tuple[bytes, int, list[int]]:
        self._number += 1
        self._channel.send(REQUEST.pack(self._number, call, port))
        while True:
            data, descriptors = _receive(self._channel)
            if len(data) < ANSWER.size:
                raise _protocol_error()
            request, number, present = ANSWER.unpack_from(data)
            if request == self._number:
                break
            for descriptor in descriptors:  # of an answer for which the wait was over
                os.close(descriptor)
        if number:
            raise OSError(number, os.strerror(number))
        return data[ANSWER.size :], present, descriptors


def _serve(channel: _socket.socket, calls: Privileged) -> NoReturn:
    """Be the monitor until the device has closed its end of the channel."""
    # Signals to the process group are for the device, whose end is ours.
    for number in (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP):
        _signal.signal(number, _signal.SIG_IGN)
    try:
        while data := channel.recv(REQUEST.size):
            request, call, port = REQUEST.unpack(data)
            _answer(channel, calls, request, call, port)
    except (OSError, struct.error):
        pass  # the device ended before it read an answer, or is not itself any more
    calls.end()
    os._exit(0)


def _answer(channel: _socket.socket, calls: Privileged, request: int, call: int, port: int) -> None:
    opened, record, text = None, None, b""
    try:
        if call == LINK_SOCKETS:
            opened = calls.link_sockets()
        elif call == PORT_HOLDER:
            text = (calls.port_holder(port) or "").encode(errors="replace")
        elif call == NEW_RECORD:
            record = calls.new_record()
        elif call == KEEP_RECORD:
            calls.keep_record()
        number = 0
    except Exception as error:
        number = getattr(error, "errno", None) or errno.EIO
    if record is not None:
        _send_descriptors(channel, ANSWER.pack(request, 0, 1), [record])
        os.close(record)
    elif opened is None:
        answer = ANSWER.pack(request, number, 0) + text
        channel.send(answer[:MAX_ANSWER])
    else:
        _send_sockets(channel, request, opened)


def _send_sockets(channel: _socket.socket, request: int, opened: LinkSockets) -> None:
    descriptors, present = [], 0
    for number, each in enumerate((opened.watch, *opened.icmp_sockets())):
        if each is not None:
            descriptors.append(each.fileno())
            present |= 1 << number
    _send_descriptors(channel, ANSWER.pack(request, 0, present), descriptors)
    opened.watch.close()
    opened.close_icmp()


def _send_descriptors(channel: _socket.socket, answer: bytes, descriptors: list[int]) -> None:
    packed = struct.pack(f"{len(descriptors)}i", *descriptors)
    channel.sendmsg([answer], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)])


def _receive(channel: _socket.socket) -> tuple[bytes, list[int]]:
    """Receive an answer, and the descriptors that come with it."""
    room = _socket.CMSG_LEN(DESCRIPTORS * INT.size)
    data, messages, _, _ = channel.recvmsg(MAX_ANSWER, room, _socket.MSG_CMSG_CLOEXEC)
    rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS)
    descriptors: list[int] = []
    for *kind, packed in messages:
        if tuple(kind) == rights:
            whole = len(packed) - len(packed) % INT.size
            descriptors += [number for (number,) in INT.iter_unpack(packed[:whole])]
    return data, descriptors


def _protocol_error() -> OSError:
    return OSError(errno.EPROTO, os.strerror(errno.EPROTO))

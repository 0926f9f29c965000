"""The monitor: a process that keeps some of root's rights, so that the device need not have them.

As in OpenSSH's privilege separation. The device's process forks it before it drops its own rights,
and asks it for the calls of `privileged`. A request has a fixed length and names no path, process
or namespace, so a device that was taken over can make these calls and no others. The monitor ends
when the device has ended, however that happened, and removes the UAPI socket.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import struct
from typing import TYPE_CHECKING, Final, NoReturn

from holloway.device.link_sockets import LinkSockets
from holloway.netlink.socket import Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from holloway.device.privileged import Privileged

REQUEST: Final = struct.Struct("=IBH")  # its number, the call, a port
ANSWER: Final = struct.Struct("=IiB")  # the request's number, an errno, which descriptors come
MAX_ANSWER: Final = 1024
LINK_SOCKETS: Final = 1
PORT_HOLDER: Final = 2
NEW_RECORD: Final = 3
KEEP_RECORD: Final = 4
DESCRIPTORS: Final = 4
ANSWER_SECONDS: Final = 30.0
"""The limit of a wait for an answer: the monitor may have been stopped (SIGSTOP)."""


class Monitor:
    """The device's side: makes the calls of `Privileged` by the monitor."""

    def __init__(self, channel: socket.socket, process: int) -> None:
        self._channel = channel
        self._process = process
        self._number = 0

    @classmethod
    def start(cls, calls: Privileged, prepare: Callable[[], None]) -> Monitor:
        """Fork a monitor that makes `calls`; it first runs `prepare`. No thread may run yet."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
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
        v4, v6, conntrack = (None if fd is None else socket.socket(fileno=fd) for fd in icmp)
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
            data, descriptors, _, _ = socket.recv_fds(
                self._channel, MAX_ANSWER, DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
            )
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


def _serve(channel: socket.socket, calls: Privileged) -> NoReturn:
    """Be the monitor until the device has closed its end of the channel."""
    # Signals to the process group are for the device, whose end is ours.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        while data := channel.recv(REQUEST.size):
            request, call, port = REQUEST.unpack(data)
            _answer(channel, calls, request, call, port)
    except (OSError, struct.error):
        pass  # the device ended before it read an answer, or is not itself any more
    calls.end()
    os._exit(0)


def _answer(channel: socket.socket, calls: Privileged, request: int, call: int, port: int) -> None:
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
        socket.send_fds(channel, [ANSWER.pack(request, 0, 1)], [record])
        os.close(record)
    elif opened is None:
        answer = ANSWER.pack(request, number, 0) + text
        channel.send(answer[:MAX_ANSWER])
    else:
        _send_sockets(channel, request, opened)


def _send_sockets(channel: socket.socket, request: int, opened: LinkSockets) -> None:
    descriptors, present = [], 0
    for number, each in enumerate(opened):
        if each is not None:
            descriptors.append(each.fileno())
            present |= 1 << number
    socket.send_fds(channel, [ANSWER.pack(request, 0, present)], descriptors)
    opened.watch.close()
    opened.close_icmp()


def _protocol_error() -> OSError:
    return OSError(errno.EPROTO, os.strerror(errno.EPROTO))

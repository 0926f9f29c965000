"""The UAPI socket of a running device: its protocol.

A request becomes an `Update` or asks for an answer; what the device does with it is not known here.
The protocol is WireGuard's cross-platform one: a blank line ends a request, a connection may carry
many requests, and an answer ends with `errno=N`. Ours has three operations more: `log=LEVEL` sets
the log level, `log=follow` sends the log, and `discards=1` returns counters. `daemon` runs it.
"""

from __future__ import annotations

import errno
import logging
from typing import TYPE_CHECKING, Final, Protocol

from holloway.device.log import LEVELS
from holloway.errors import ConfigError
from holloway.text.native import State, UapiError, Update, read_request

if TYPE_CHECKING:
    from holloway.device.log import DeviceLog
    from holloway.device.stream import Transport

log = logging.getLogger(__name__)

MAX_REQUEST: Final = 256 << 20
"""The most bytes of one request: room for a million peers."""

MAX_OPERATION: Final = 16
"""The most bytes of its first line, which names the operation."""

OPERATIONS: Final = (b"get=1\n", b"set=1\n")
DISCARDS_OPERATION: Final = b"discards=1\n"
LOG_OPERATION: Final = b"log="
BEGINNINGS: Final = (*OPERATIONS, DISCARDS_OPERATION, LOG_OPERATION)
MAX_BACKLOG: Final = 256 << 10
"""The most bytes queued for a slow follower of the log; further lines are left out."""


class UapiHandler(Protocol):
    """The device behind the socket."""

    def state(self) -> State:
        """Return the device as it is now."""

    def uapi_discards(self) -> bytes:
        """Return the answer to `discards=1`, without the errno line that ends it."""

    def apply(self, update: Update) -> None:
        """Apply an update whole, or raise (OSError, ConfigError) and change nothing."""


class UapiConnection:
    """One client's connection. A malformed request closes it, a refused one is answered."""

    _transport: Transport

    def __init__(self, device: UapiHandler, device_log: DeviceLog) -> None:
        self._device = device
        self._log = device_log
        self._dropped_lines = 0
        self._received = bytearray()
        self._searched = 0

    def connection_made(self, transport: Transport) -> None:
        self._transport = transport

    def connection_lost(self, _: Exception | None) -> None:
        self._log.unfollow(self._send_log_line)

    def pause_writing(self) -> None:
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (request := self._next_request()) is not None:
            self._transport.write(self._answer(request))

    def _next_request(self) -> bytes | None:
        """Remove a whole request from the buffer and return it, or None if none is complete."""
        received = self._received
        has_operation = b"\n" in received[: MAX_OPERATION + 1]
        if has_operation and not received.startswith(BEGINNINGS):
            self._reject("invalid operation")
            return None
        if not has_operation and len(received) > MAX_OPERATION:
            self._reject("request too long")
            return None
        end = received.find(b"\n\n", self._searched)
        if end < 0:
            self._searched = max(0, len(received) - 1)
            if len(received) > MAX_REQUEST:
                self._reject("request too long")
            return None
        with memoryview(received) as view:
            request = bytes(view[: end + 1])
        del received[: end + 2]
        self._searched = 0
        return request

    def _reject(self, reason: str) -> None:
        log.error("UAPI: %s", reason)
        self._received.clear()
        self._searched = 0
        self._transport.close()

    def _answer(self, request: bytes) -> bytes:
        if request.startswith(LOG_OPERATION):
            return self._answer_log(request[len(LOG_OPERATION) : -1].decode(errors="replace"))
        if request == DISCARDS_OPERATION:
            return self._device.uapi_discards() + b"errno=0\n\n"
        if request.startswith(DISCARDS_OPERATION):
            return self._refuse_arguments()
        body = request[len(OPERATIONS[0]) :]
        if request.startswith(b"get=1\n"):
            return self._answer_get(body)
        # wg(8) reads the errno of a set as negative and that of a get as positive.
        return b"errno=%d\n\n" % -self._set(body)

    def _answer_log(self, wanted: str) -> bytes:
        """Set the level or begin to follow; return the answer, with the level in force."""
        if wanted == "follow":
            self._transport.write(self._level())
            self._log.follow(self._send_log_line)
            return b""
        if wanted in LEVELS:
            self._log.level = wanted
        elif wanted:
            log.error("UAPI: no such log level")
            return b"errno=%d\n\n" % -errno.EINVAL
        return self._level()

    def _level(self) -> bytes:
        return f"level={self._log.level}\nerrno=0\n\n".encode()

    def _send_log_line(self, line: str) -> None:
        """Send a follower the next line of the log, unless it is far behind."""
        if self._transport.get_write_buffer_size() > MAX_BACKLOG:
            self._dropped_lines += 1
            return
        if self._dropped_lines:
            line = f"({self._dropped_lines} lines left out)\n{line}"
            self._dropped_lines = 0
        self._transport.write(f"{line}\n".encode(errors="replace"))

    def _answer_get(self, body: bytes) -> bytes:
        if body:
            return self._refuse_arguments()
        return self._device.state().answer() + b"errno=0\n\n"

    def _refuse_arguments(self) -> bytes:
        log.error("UAPI: this operation takes no arguments")
        return b"errno=%d\n\n" % errno.EINVAL

    def _set(self, body: bytes) -> int:
        """Apply an update whole, or log why not; return the errno, 0 if it was applied."""
        try:
            self._device.apply(read_request(body))
        except UapiError as error:
            log.error("UAPI: %s", error)
            return error.errno
        except ConfigError as error:
            log.error("UAPI: %s", error)
            return errno.EINVAL
        except OSError as error:
            log.error("UAPI: %s", error.strerror)
            return error.errno or errno.EIO
        return 0

"""Connections of a listening socket in the device's event loop, as asyncio's transports.

Nothing blocks: what a client does not take is queued, and its protocol is paused meanwhile. Knows
no protocol; `daemon` serves the UAPI with it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from holloway.device.loop import DeviceLoop

log = logging.getLogger(__name__)


class Transport(Protocol):
    """A connection as its protocol sees it."""

    def write(self, data: bytes) -> None:
        """Send, now or once the client takes it."""

    def get_write_buffer_size(self) -> int:
        """Return how many bytes the client has not taken."""

    def pause_reading(self) -> None:
        """Take nothing more from the client."""

    def resume_reading(self) -> None:
        """Go on with it."""

    def close(self) -> None:
        """Take nothing more, and close once everything is sent."""


class StreamProtocol(Protocol):
    """What handles a connection."""

    def connection_made(self, transport: Transport) -> None: ...
    def data_received(self, data: bytes) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def connection_lost(self, error: Exception | None) -> None: ...


class Server:
    """Accepts connections until it is closed."""

    def __init__(
        self, loop: DeviceLoop, listener: socket.socket, handler: Callable[[], StreamProtocol]
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._handler = handler
        listener.setblocking(False)
        self._watch()

    def close(self) -> None:
        self._loop.remove_reader(self._listener)
        self._listener.close()

    def _watch(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        try:
            connected, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:  # no descriptor is left, for instance
            log.error("Unable to accept a connection: %s", error.strerror)
            self._loop.remove_reader(self._listener)
            self._loop.call_later(RETRY_SECONDS, self._watch)
            return
        Stream(self._loop, connected, self._handler())


class Stream:
    """One connection."""

    def __init__(
        self, loop: DeviceLoop, connected: socket.socket, protocol: StreamProtocol
    ) -> None:
        self._loop = loop
        self._socket = connected
        self._protocol = protocol
        self._queued = bytearray()
        self._is_paused = False  # the protocol, while too much is queued
        self._is_closing = False
        connected.setblocking(False)
        protocol.connection_made(self)
        self.resume_reading()

    def write(self, data: bytes) -> None:
        if self._is_closing:
            return
        if not self._queued:
            data = data[self._send(data) :]
        if not data or self._is_closing:
            return
        if not self._queued:
            self._loop.add_writer(self._socket, self._flush)
        self._queued += data
        if len(self._queued) > HIGH_WATER and not self._is_paused:
            self._is_paused = True
            self._protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        return len(self._queued)

    def pause_reading(self) -> None:
        if not self._is_closing:
            self._loop.remove_reader(self._socket)

    def resume_reading(self) -> None:
        if not self._is_closing:
            self._loop.add_reader(self._socket, self._receive)

    def close(self) -> None:
        if self._is_closing:
            return
        self._loop.remove_reader(self._socket)
        self._is_closing = True
        if not self._queued:
            self._lose(None)

    def _receive(self) -> None:
        try:
            data = self._socket.recv(RECEIVE_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(error)
            return
        if not data:
            self.close()
            return
        try:
            self._protocol.data_received(data)
        except Exception as error:
            self._lose(error)
            raise

    def _flush(self) -> None:
        with memoryview(self._queued) as view:
            sent = self._send(view)
        del self._queued[:sent]
        if self._is_paused and len(self._queued) <= LOW_WATER:
            self._is_paused = False
            self._protocol.resume_writing()
        if not self._queued and self._socket.fileno() >= 0:
            self._loop.remove_writer(self._socket)
            if self._is_closing:
                self._lose(None)

    def _send(self, data: bytes | memoryview) -> int:
        """Return how many bytes were sent; an error ends the connection."""
        try:
            return self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            self._lose(error)
            return len(data)

    def _lose(self, error: Exception | None) -> None:
        if self._socket.fileno() < 0:
            return
        self._is_closing, self._is_paused = True, False
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        protocol = self._protocol
        del self._protocol  # which refers to this, and both would wait for the cycle collector
        protocol.connection_lost(error)


HIGH_WATER: Final = 1 << 16
LOW_WATER: Final = 1 << 14
"""Between these many queued bytes a protocol is paused and goes on: asyncio's."""
RECEIVE_SIZE: Final = 1 << 18
RETRY_SECONDS: Final = 1.0

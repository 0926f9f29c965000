"""A UDP transport over a socket's own methods, for any event loop that waits for descriptors.

A loop that makes its own handle from a descriptor, as uvloop does, knows nothing of the addresses
that a socket of the userspace stack has. Has the interface of asyncio's transports.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from holloway.net.inner_datagram import DatagramSocket
    from holloway.net.stack import AnyProtocol

HIGH_WATER: Final = 64 * 1024  # as in asyncio's transports
MAX_SIZE: Final = 65_536
BURST: Final = 32
"""Datagrams that are received before others have their turn."""


async def open_datagram_transport(
    factory: Callable[[], AnyProtocol], sock: DatagramSocket
) -> tuple[SocketTransport, AnyProtocol]:
    """Make a transport and its protocol. The transport owns the socket."""
    protocol = factory()
    transport = SocketTransport(sock, protocol)
    # As with asyncio's own, the protocol is called in a later turn, and datagrams come after that.
    await asyncio.sleep(0)
    protocol.connection_made(transport)
    transport.start()
    return transport, protocol


class SocketTransport(asyncio.DatagramTransport):
    """See `asyncio.DatagramTransport`."""

    def __init__(self, sock: DatagramSocket, protocol: asyncio.DatagramProtocol) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._socket = sock
        self._fd = sock.fileno()
        self._protocol: asyncio.BaseProtocol = protocol
        self._extra: dict[str, Any] = {"socket": sock, "sockname": sock.getsockname()}
        self._peer = sock.getpeername() if sock.is_connected else None
        if self._peer is not None:
            self._extra["peername"] = self._peer
        self._waiting: deque[tuple[bytes, Any]] = deque()
        self._size = 0
        self._high, self._low = HIGH_WATER, HIGH_WATER // 4
        self._is_paused = False
        self._is_closing = False

    def start(self) -> None:
        """Begin to receive."""
        if not self._is_closing:
            self._loop.add_reader(self._fd, self._receive)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._extra.get(name, default)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def is_closing(self) -> bool:
        return self._is_closing

    def sendto(self, data: Any, addr: Any = None) -> None:
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data must be a bytes-like object, not {type(data).__name__}")
        if self._peer is not None and addr not in (None, self._peer, self._peer[:2]):
            raise ValueError(f"Invalid address: must be None or {self._peer}")
        if self._is_closing:
            return
        address = None if self._peer is not None else addr
        if not self._waiting:
            if self._send(data, address):
                return
            self._loop.add_writer(self._fd, self._send_waiting)
        self._waiting.append((bytes(data), address))
        self._size += len(data)
        if self._size > self._high and not self._is_paused:
            self._is_paused = True
            self._protocol.pause_writing()

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._loop.remove_reader(self._fd)
            if not self._waiting:
                self._loop.call_soon(self._end, None)

    def abort(self) -> None:
        self._close_with(None)

    def get_write_buffer_size(self) -> int:
        return self._size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if high is None:
            high = HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not 0 <= low <= high:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self._high, self._low = high, low

    def _send(self, data: Any, address: Any) -> bool:
        """Send a datagram, or report why not; returns False if it has to wait."""
        try:
            if address is None:
                self._socket.send(data)
            else:
                self._socket.sendto(data, address)
        except BlockingIOError:
            return False
        except OSError as error:
            self._report(error)
        return True

    def _send_waiting(self) -> None:
        while self._waiting:
            data, address = self._waiting[0]
            if not self._send(data, address):
                break
            if not self._waiting:
                return  # it was closed
            self._waiting.popleft()
            self._size -= len(data)
        if self._is_paused and self._size <= self._low:
            self._is_paused = False
            self._protocol.resume_writing()
        if not self._waiting:
            self._loop.remove_writer(self._fd)
            if self._is_closing:
                self._end(None)

    def _receive(self) -> None:
        for _ in range(BURST):
            if self._is_closing:
                return
            try:
                data, address = self._socket.recvfrom(MAX_SIZE)
            except BlockingIOError:
                return
            except OSError as error:
                self._report(error)
                return
            protocol = self._protocol
            assert isinstance(protocol, asyncio.DatagramProtocol)
            protocol.datagram_received(data, address)

    def _report(self, error: OSError) -> None:
        """Report an error to the protocol; one that will come again ends the transport."""
        if isinstance(self._protocol, asyncio.DatagramProtocol):
            self._protocol.error_received(error)
        if self._socket.is_over:
            self._close_with(None)

    def _close_with(self, error: Exception | None) -> None:
        if self._fd < 0:
            return
        if self._waiting:
            self._waiting.clear()
            self._size = 0
            self._loop.remove_writer(self._fd)
        if not self._is_closing:
            self._is_closing = True
            self._loop.remove_reader(self._fd)
        self._loop.call_soon(self._end, error)

    def _end(self, error: Exception | None) -> None:
        if self._fd < 0:
            return
        self._fd = -1
        try:
            self._protocol.connection_lost(error)
        finally:
            self._socket.close()

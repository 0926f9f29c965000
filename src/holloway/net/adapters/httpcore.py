"""Network backends for httpcore: `AsyncBackend` over a `Network`, `Backend` over a blocking one.

They provide TCP and TLS; pools, HTTP and proxies are httpcore's. They raise httpcore's errors.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
from typing import TYPE_CHECKING, Any

import httpcore

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator

    from holloway.net.blocking import BlockingNetwork
    from holloway.net.network import Network
    from holloway.net.stack import Address

    Options = Iterable[httpcore.SOCKET_OPTION] | None


class AsyncBackend(httpcore.AsyncNetworkBackend):
    """For `httpcore.AsyncConnectionPool(network_backend=...)`."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Options = None,
    ) -> AsyncStream:
        source = _source(local_address)
        with _connect_errors():
            reader, writer = await self._network.open_connection(
                host, port, local_addr=source, timeout=timeout
            )
            _set_options(writer.get_extra_info("socket"), socket_options)
        return AsyncStream(reader, writer)

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Options = None
    ) -> AsyncStream:
        raise httpcore.ConnectError("a tunnel has no Unix sockets")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class AsyncStream(httpcore.AsyncNetworkStream):
    """A connection made by `AsyncBackend`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _errors(httpcore.ReadTimeout, httpcore.ReadError):
            async with asyncio.timeout(timeout):
                return await self._reader.read(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with _errors(httpcore.WriteTimeout, httpcore.WriteError):
            async with asyncio.timeout(timeout):
                self._writer.write(buffer)
                await self._writer.drain()

    async def aclose(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> AsyncStream:
        try:
            with _connect_errors():
                async with asyncio.timeout(timeout):
                    await self._writer.start_tls(ssl_context, server_hostname=server_hostname)
        except BaseException:
            self._writer.close()
            raise
        return self

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            # The transport has read all data already: only the end can be readable.
            return self._reader.at_eof() or self._writer.is_closing()
        return self._writer.get_extra_info(NAMES.get(info, info))


class Backend(httpcore.NetworkBackend):
    """For `httpcore.ConnectionPool(network_backend=...)`."""

    def __init__(self, network: BlockingNetwork) -> None:
        self._network = network

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Options = None,
    ) -> Stream:
        source = _source(local_address)
        with _connect_errors():
            connected = self._network.connect(host, port, source_address=source, timeout=timeout)
            _set_options(connected, socket_options)
        return Stream(connected)

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Options = None
    ) -> Stream:
        raise httpcore.ConnectError("a tunnel has no Unix sockets")


class Stream(httpcore.NetworkStream):
    """A connection made by `Backend`."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _errors(httpcore.ReadTimeout, httpcore.ReadError):
            self._socket.settimeout(timeout)
            return self._socket.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with _errors(httpcore.WriteTimeout, httpcore.WriteError):
            self._socket.settimeout(timeout)
            self._socket.sendall(buffer)

    def close(self) -> None:
        self._socket.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> Stream:
        try:
            with _connect_errors():
                self._socket.settimeout(timeout)
                return Stream(
                    ssl_context.wrap_socket(self._socket, server_hostname=server_hostname)
                )
        except BaseException:
            self._socket.close()
            raise

    def get_extra_info(self, info: str) -> Any:
        match info:
            case "is_readable":
                if self._socket.fileno() < 0:
                    return True
                waiting = select.poll()
                waiting.register(self._socket, select.POLLIN)
                return bool(waiting.poll(0))
            case "socket":
                return self._socket
            case "client_addr":
                return self._socket.getsockname()
            case "server_addr":
                return self._socket.getpeername()
            case "ssl_object":
                return self._socket if hasattr(self._socket, "selected_alpn_protocol") else None
        return None


NAMES = {"client_addr": "sockname", "server_addr": "peername"}


def _source(local_address: str | None) -> Address | None:
    return None if local_address is None else (local_address, 0)


def _set_options(connected: socket.socket, options: Options) -> None:
    for option in options or ():
        connected.setsockopt(*option)


def _connect_errors() -> contextlib.AbstractContextManager[None]:
    return _errors(httpcore.ConnectTimeout, httpcore.ConnectError)


@contextlib.contextmanager
def _errors(timeout: type[Exception], other: type[Exception]) -> Iterator[None]:
    """Convert the system's errors to httpcore's."""
    try:
        yield
    except TimeoutError as error:
        raise timeout(str(error)) from error
    except OSError as error:
        raise other(str(error)) from error

"""The load, as a separate program: it runs in a host and prints its results as JSON.

    python embedded_load.py sink
    python embedded_load.py CONNECTOR LOAD SECONDS-OR-NUMBER [CONFIG]

CONNECTOR is how it connects: `kernel` and `userspace` (our `Network` with that stack),
`wireguard-requests`, `direct`, `forward` (ports of this machine) or `socks`. LOAD is one of LOADS.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

FAR, WEB, SINK = "10.98.0.2", 80, 9000
LOCAL = {WEB: 8080, SINK: 9090}
SOCKS = ("127.0.0.1", 1080)
BUFFER = 1 << 20
TIMEOUT = 15.0
STATUS = os.open(
    "/proc/self/status", os.O_RDONLY
)  # opened now, because later the descriptors may be used up


def get(path: str, more: str = "") -> bytes:
    """Return an HTTP request."""
    return f"GET {path} HTTP/1.1\r\nHost: far\r\n{more}\r\n".encode()


OK = get("/ok")
CLOSE = get("/ok", "Connection: close\r\n")


class Connector(Protocol):
    """Connects the load to the far host."""

    async def connect(self, port: int) -> socket.socket:
        """Return a connected, non-blocking socket."""


class HollowayConnector:
    """Connects through our `Network`."""

    def __init__(self, stack: str) -> None:
        self._stack = stack

    @contextlib.asynccontextmanager
    async def open(self, config: str) -> AsyncIterator[HollowayConnector]:
        import holloway

        async with holloway.Network.from_config(config, stack=self._stack) as self._network:
            yield self

    async def connect(self, port: int) -> socket.socket:
        return await self._network.connect(FAR, port)


class SocketConnector:
    """Connects ordinary sockets to the far host, to a forwarded port, or to a proxy."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    @contextlib.asynccontextmanager
    async def open(self, _: str) -> AsyncIterator[SocketConnector]:
        yield self

    async def connect(self, port: int) -> socket.socket:
        loop = asyncio.get_running_loop()
        made = socket.socket()
        made.setblocking(False)
        try:
            match self._kind:
                case "direct":
                    await loop.sock_connect(made, (FAR, port))
                case "forward":
                    await loop.sock_connect(made, ("127.0.0.1", LOCAL[port]))
                case "socks":
                    await loop.sock_connect(made, SOCKS)
                    await _greet(made, port)
        except BaseException:
            made.close()
            raise
        return made


async def _greet(made: socket.socket, port: int) -> None:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(made, b"\5\1\0")
    assert await loop.sock_recv(made, 2) == b"\5\0"
    request = b"\5\1\0\1" + socket.inet_aton(FAR) + port.to_bytes(2, "big")
    await loop.sock_sendall(made, request)
    answer = await loop.sock_recv(made, 300)
    if answer[1:2] != b"\0":
        raise ConnectionRefusedError


class Counter(asyncio.BufferedProtocol):
    """Counts received bytes in the cheapest way that asyncio has."""

    def __init__(self) -> None:
        self.count = 0
        self.lost = asyncio.get_running_loop().create_future()
        self._buffer = bytearray(BUFFER)

    def get_buffer(self, _: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, size: int) -> None:
        self.count += size

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set_result(error)


async def down(connector: Connector, seconds: float) -> dict[str, float]:
    """Download for `seconds`."""
    made = await connector.connect(WEB)
    transport, counter = await asyncio.get_running_loop().create_connection(Counter, sock=made)
    transport.write(get("/big"))
    began, used = time.monotonic(), sum(os.times()[:2])
    await asyncio.wait({counter.lost}, timeout=seconds)
    took, cpu = time.monotonic() - began, sum(os.times()[:2]) - used
    if counter.lost.done():
        raise ConnectionResetError
    transport.abort()
    return {"bytes": counter.count, "seconds": took, "cpu": cpu}


async def up(connector: Connector, seconds: float) -> dict[str, float]:
    """Upload for `seconds`; the sink counts what arrives."""
    loop = asyncio.get_running_loop()
    data = bytes(BUFFER)
    with await connector.connect(SINK) as made:
        began, used = time.monotonic(), sum(os.times()[:2])
        end = began + seconds
        async with asyncio.timeout(seconds + TIMEOUT):
            while time.monotonic() < end:
                await loop.sock_sendall(made, data)
        return {"cpu": sum(os.times()[:2]) - used}


async def connections(connector: Connector, seconds: float, at_once: int) -> dict[str, float]:
    """Connect, send a request, read to the end, close; `at_once` tasks do so concurrently."""
    began = time.monotonic()
    end = began + seconds
    done = 0

    async def one() -> None:
        nonlocal done
        loop = asyncio.get_running_loop()
        while time.monotonic() < end:
            with await connector.connect(WEB) as made:
                await loop.sock_sendall(made, CLOSE)
                while await loop.sock_recv(made, 4096):
                    pass
            done += 1

    async with asyncio.timeout(seconds + TIMEOUT):
        await asyncio.gather(*(one() for _ in range(at_once)))
    return {"a second": done / (time.monotonic() - began)}


async def idle(connector: Connector, number: float) -> dict[str, float]:
    """Open `number` connections with an answered request, and hold them until stdin ends."""
    held: list[socket.socket] = []
    left = int(number)

    async def some() -> None:
        nonlocal left
        loop = asyncio.get_running_loop()
        while left > 0:
            left -= 1
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(TIMEOUT):
                    made = await connector.connect(WEB)
                    await loop.sock_sendall(made, OK)
                    if b"200 OK" in await loop.sock_recv(made, 4096):
                        held.append(made)

    before = resident()
    await asyncio.gather(*(some() for _ in range(50)))
    print(json.dumps({"up": len(held), "before": before, "after": resident()}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    return {}


async def first_byte(connector: Connector, _: float) -> dict[str, float]:
    """Send a request, and return when the response arrived."""
    loop = asyncio.get_running_loop()
    with await connector.connect(WEB) as made:
        await loop.sock_sendall(made, OK)
        assert await loop.sock_recv(made, 4096)
        return {"at": time.monotonic()}


async def silence(connector: Connector, seconds: float) -> dict[str, float]:
    """Send a request, wait for `seconds`, and send another on the same connection."""
    loop = asyncio.get_running_loop()
    with await connector.connect(WEB) as made:
        for wait in (seconds, 0):
            async with asyncio.timeout(TIMEOUT):
                await loop.sock_sendall(made, OK)
                assert await loop.sock_recv(made, 4096)
            await asyncio.sleep(wait)
    return {"survives": 1}


async def roam(connector: Connector, seconds: float) -> dict[str, float]:
    """Download slowly: print when bytes arrive, and fail if they stop within `seconds`."""
    loop = asyncio.get_running_loop()

    async def fetch(seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            async with asyncio.timeout(TIMEOUT):
                assert await loop.sock_recv(made, 1 << 14)

    with await connector.connect(WEB) as made:
        await loop.sock_sendall(made, get("/slow"))
        await fetch(1)
        print("flowing", flush=True)
        await fetch(seconds)
    return {"survives": 1}


LOADS: dict[str, Callable[[Connector, float], Awaitable[dict[str, float]]]] = {
    "down": down,
    "up": up,
    "connections 1": lambda connector, seconds: connections(connector, seconds, 1),
    "connections 50": lambda connector, seconds: connections(connector, seconds, 50),
    "idle": idle,
    "first byte": first_byte,
    "silence": silence,
    "roam": roam,
}


def resident() -> float:
    """Return the resident MiB of this process."""
    lines = os.pread(STATUS, 1 << 14, 0).decode().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def sink() -> None:
    """Read from one connection after the other, and record the bytes and seconds of each."""
    buffer = memoryview(bytearray(BUFFER))
    with socket.create_server((FAR, SINK)) as listener:
        print("ready", flush=True)
        while True:
            connection, _ = listener.accept()
            count, began = 0, time.monotonic()
            last = began
            with connection, contextlib.suppress(OSError):
                connection.settimeout(5)
                while got := connection.recv_into(buffer):
                    count += got
                    last = time.monotonic()
            Path("/run/sink.new").write_text(json.dumps([count, last - began]))
            Path("/run/sink.new").rename("/run/sink")


async def main(kind: str, load: str, amount: float, config: str) -> dict[str, float]:
    """Run one load with one connector."""
    made = HollowayConnector(kind) if kind in {"kernel", "userspace"} else SocketConnector(kind)
    async with made.open(config) as connector:
        return await LOADS[load](connector, amount)


if __name__ == "__main__":
    if sys.argv[1] == "sink":
        sink()
    elif sys.argv[1] == "wireguard-requests":
        from embedded_wireguard_requests import run

        print(json.dumps(run(sys.argv[2], float(sys.argv[3]), sys.argv[4])), flush=True)
        os._exit(0)  # its threads do not end otherwise
    else:
        words = (*sys.argv[2:], "")
        print(json.dumps(asyncio.run(main(sys.argv[1], words[0], float(words[1]), words[2]))))

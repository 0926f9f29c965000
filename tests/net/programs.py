"""Programs for the hosts of `test_devices`: `python programs.py NAME ARGUMENT...`; see each.

Those that take a stack read their configuration from /run/peer.conf and run unprivileged;
`echo` is their server, in a host with a device.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import random
import socket
import sys
import time

from holloway import Network

REMOTE = ("10.10.10.1", "fd10::1")
LOCAL = ("10.10.10.2", "fd10::2")
PORT = 5000
CHUNK = 1 << 16
STOP = "/run/stop"


class UdpEcho(asyncio.DatagramProtocol):
    """Sends every datagram back."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        assert isinstance(self.transport, asyncio.BaseTransport)
        self.transport.sendto(data, address)  # type: ignore[attr-defined]


async def send_back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.closing(writer), contextlib.suppress(ConnectionError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()


async def echo() -> None:
    """Echo TCP and UDP on every address, until it is killed."""
    loop = asyncio.get_running_loop()
    await asyncio.start_server(send_back, ["0.0.0.0", "::"], PORT)
    for address in REMOTE:
        await loop.create_datagram_endpoint(UdpEcho, local_addr=(address, PORT))
    print("ready", flush=True)
    await asyncio.Event().wait()


async def transfer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, size: int) -> bool:
    """Return whether so many bytes come back unchanged."""
    data = random.Random(size).randbytes(size)
    writer.write(data)
    back = await reader.readexactly(size)
    writer.close()
    return hashlib.sha256(back).digest() == hashlib.sha256(data).digest()


async def exchange(stack: str) -> None:
    """Try TCP, UDP and ping to the far end in both families, and print the results."""
    loop = asyncio.get_running_loop()
    found: dict[str, object] = {"uid": os.getuid()}
    async with Network.from_config("/run/peer.conf", stack=stack) as net:
        for address in REMOTE:
            found[f"tcp {address}"] = await transfer(
                *await net.open_connection(address, PORT), 20_000_000
            )
            with await net.connect(address, PORT, type=socket.SOCK_DGRAM) as sock:
                await loop.sock_sendall(sock, b"datagram")
                back = await asyncio.wait_for(loop.sock_recv(sock, 100), 20)
            found[f"udp {address}"] = back == b"datagram"
            found[f"ping {address}"] = await net.ping(address) > 0
        found["stack"] = net.stack
    print(json.dumps(found))


async def serve(stack: str) -> None:
    """Echo inside the tunnel until /run/stop exists."""
    async with Network.from_config("/run/peer.conf", stack=stack) as net:
        await net.start_server(send_back, port=PORT)
        await net.ping(REMOTE[0])
        print("ready", flush=True)
        await stopped()


async def connect(address: str) -> None:
    """Exchange bytes with an echo server over the system's sockets."""
    reader, writer = await asyncio.open_connection(address, PORT)
    print(json.dumps({"whole": await transfer(reader, writer, 20_000_000)}))


async def stream(stack: str, address: str) -> None:
    """Echo over one connection until /run/stop exists; prints the time every MiB."""
    source = random.Random(2)
    async with Network.from_config("/run/peer.conf", stack=stack) as net:
        reader, writer = await net.open_connection(address, PORT)
        count = 0
        while not os.access(STOP, os.F_OK):
            data = source.randbytes(CHUNK)
            writer.write(data)
            assert await reader.readexactly(CHUNK) == data
            count += 1
            if count % 16 == 0:
                print(time.monotonic(), flush=True)
            await asyncio.sleep(0.004)
        writer.close()


async def stopped() -> None:
    while not os.access(STOP, os.F_OK):  # noqa: ASYNC110  # it comes from another process
        await asyncio.sleep(0.05)


PROGRAMS = {each.__name__: each for each in (echo, exchange, serve, connect, stream)}

if __name__ == "__main__":
    asyncio.run(PROGRAMS[sys.argv[1]](*sys.argv[2:]))

"""The honest side of a flood, as programs that run in hosts of `floods_testbed`.

    floods_clients.py new SERVER-KEY SECONDS SPREAD   print in how many seconds each client is in
    floods_clients.py initiate SERVER-KEY             send an initiation, and print it once answered
    floods_clients.py receiver                        print a transport message's receiver index
    floods_clients.py hostile SERVER-KEY HOST RATE SECONDS
                                                      begin valid handshakes, and finish none

The new clients are the same for all devices under test: `Network`s of ours, with the protocol's own
timers. Each has a key of its own and no session.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from contextlib import AsyncExitStack, suppress

from handshakes import initiations, private_key

from holloway import Network
from holloway.core import noise
from holloway.key import Key
from holloway.model import AllowedIP, Endpoint, PeerUpdate

COUNT = 20
HOSTILE = 0
"""The number of the peer whose initiations are a flood; the new clients are those after it."""
PORT = 51820
SERVER = "10.98.0.2"
ENDPOINT = "10.99.1.2"
PING_INTERVAL = 0.25
TRANSPORT = 4


def address(number: int) -> str:
    """Return the address of a peer in the tunnel."""
    return f"10.98.1.{number + 1}"


def public_key(number: int) -> str:
    """Return the public key of a peer in base64."""
    return Key(noise.Identity(private_key(number)).public_key).base64


def network(number: int, server_key: str) -> Network:
    """Return a client, which is not open yet."""
    server = PeerUpdate(
        public_key=Key.from_base64(server_key),
        endpoint=Endpoint(ENDPOINT, PORT),
        allowed_ips=(AllowedIP.parse(f"{SERVER}/32"),),
    )
    return Network(private_key=Key(private_key(number)), peers=[server],
                   addresses=[f"{address(number)}/32"], stack="userspace")  # fmt: skip


async def new(server_key: str, seconds: str, spread: str) -> None:
    """Let every client in, one after the other within `spread` seconds; each has `seconds`."""
    async with AsyncExitStack() as stack:
        networks = [
            await stack.enter_async_context(network(number, server_key))
            for number in range(HOSTILE + 1, HOSTILE + 1 + COUNT)
        ]
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        pauses = [float(spread) * number / COUNT for number in range(COUNT)]
        times = await asyncio.gather(*(
            enter(client, pause, float(seconds))
            for client, pause in zip(networks, pauses, strict=True)
        ))  # fmt: skip
    print(json.dumps(times))


async def enter(client: Network, pause: float, seconds: float) -> float | None:
    """Return the time until the first answer through the tunnel, or None if there is none."""
    await asyncio.sleep(pause)
    began = time.monotonic()
    pings: set[asyncio.Task[float]] = set()
    try:
        while (left := began + seconds - time.monotonic()) > 0:
            pings.add(asyncio.create_task(client.ping(SERVER, timeout=left)))
            done, pings = await asyncio.wait(
                pings, timeout=min(PING_INTERVAL, left), return_when=asyncio.FIRST_COMPLETED
            )
            if any(ping.exception() is None for ping in done):
                return time.monotonic() - began
    finally:
        for ping in pings:
            ping.cancel()
        await asyncio.gather(*pings, return_exceptions=True)
    return None


async def initiate(server_key: str) -> None:
    """Send the initiation that is replayed later, so that the device has seen it."""
    (message,) = initiations(1, Key.from_base64(server_key).raw)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
        caller.connect((ENDPOINT, PORT))
        caller.settimeout(10)
        caller.send(message)
        caller.recv(256)
    print(message.hex())


async def hostile(server_key: str, host: str, rate: str, seconds: str) -> None:
    """Send valid initiations of one peer, each with a later timestamp; print what was sent."""
    count, raw = round(float(rate) * float(seconds)), Key.from_base64(server_key).raw
    messages = [initiations(1, raw)[0] for _ in range(count)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
        caller.connect((host, PORT))
        print("ready", flush=True)
        began = time.monotonic()
        for number, message in enumerate(messages):
            await asyncio.sleep(began + number / float(rate) - time.monotonic())
            with suppress(ConnectionError):
                caller.send(message)
    print(json.dumps({"sent": count, "seconds": time.monotonic() - began}))


async def receiver() -> None:
    """Read what arrives for the device until there is a transport message."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as watched:
        watched.settimeout(30)
        print("ready", flush=True)
        while True:
            packet = watched.recv(1 << 16)
            datagram = packet[(packet[0] & 15) * 4 :]
            if int.from_bytes(datagram[2:4], "big") == PORT and datagram[8] == TRANSPORT:
                print(int.from_bytes(datagram[12:16], "little"))
                return


if __name__ == "__main__":
    asyncio.run(globals()[sys.argv[1]](*sys.argv[2:]))

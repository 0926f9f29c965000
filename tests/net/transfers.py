"""Random transfers over a lossy link, as a program of its own, run in a host.

    python transfers.py STACK NUMBER SEED        in the laptop: a network, a lossy link to the home
    python transfers.py direct NUMBER SEED       in the home, with the system's own sockets

Each sends random bytes in random pieces to an echo server at the other end, ends its direction and
compares what comes back. Both print the result; the first serves until its input ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import select
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent))

import holloway
from lossy_link import Impairment
from net.pair import echo

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
    Connect = Callable[[str, int], Awaitable[Streams]]

HOME, LAPTOP = ("10.10.10.5", "fd10::5"), ("10.10.10.2", "fd10::2")
REMOTE = ("10.99.0.2", 51820)
RELAY_PORT = 40000
AT_ONCE = 12


class LossyRelay:
    """A relay in front of the home that drops, duplicates, damages and reorders, in a thread."""

    def __init__(self, seed: int) -> None:
        self._local, self._remote = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(2))
        self._local.bind(("127.0.0.1", RELAY_PORT))
        self._remote.connect(REMOTE)
        self._impairments = {self._local: Impairment(seed), self._remote: Impairment(seed + 1)}
        self._thread = threading.Thread(target=self._forward, daemon=True)
        self._thread.start()

    def _forward(self) -> None:
        sender = None
        while True:
            for one in select.select([self._local, self._remote], [], [])[0]:
                data, address = one.recvfrom(1 << 16)
                if one is self._local:
                    sender = address
                for piece in self._impairments[one].apply(data):
                    with contextlib.suppress(OSError):
                        if one is self._local:
                            self._remote.send(piece)
                        elif sender is not None:
                            self._local.sendto(piece, sender)


def size(source: random.Random) -> int:
    """Return a size: mostly small, sometimes large, sometimes zero."""
    return source.choice((0, 1, source.randrange(1500), source.randrange(1 << 16),
                          source.randrange(1 << 16), source.randrange(1 << 19)))  # fmt: skip


async def transfer(seed: int, connect: Connect, targets: tuple[str, str], port: int) -> int:
    """Make one transfer; returns the bytes of each direction. AssertionError if one changes."""
    source = random.Random(seed)
    sent = source.randbytes(size(source))
    async with asyncio.timeout(100):
        reader, writer = await connect(source.choice(targets), port)

        async def send() -> None:
            rest = memoryview(sent)
            while rest:
                piece = source.randrange(1, 1 << source.randrange(1, 18))
                writer.write(rest[:piece])
                await writer.drain()
                rest = rest[piece:]
            writer.write_eof()

        _, received = await asyncio.gather(send(), reader.read())
        writer.close()
        await writer.wait_closed()
    assert received == sent, f"transfer {seed} came back otherwise"
    return len(sent)


async def run_transfers(
    number: int, seed: int, connect: Connect, targets: tuple[str, str], port: int
) -> dict[str, int]:
    """Make so many transfers, some of them at once."""
    seeds = iter(range(seed, seed + number))

    async def some() -> int:
        return sum([await transfer(one, connect, targets, port) for one in seeds])

    return {
        "transfers": number,
        "bytes": sum(await asyncio.gather(*(some() for _ in range(AT_ONCE)))),
    }


def config() -> str:
    """Return the laptop's configuration, with the home behind the lossy link."""
    return Path("laptop.conf").read_text().replace("10.99.0.2:51820", f"127.0.0.1:{RELAY_PORT}")


async def laptop(stack: str, number: int, seed: int) -> None:
    """Make transfers to the home, and serve those from the home."""
    LossyRelay(seed)
    async with holloway.Network.from_config(config(), stack=stack) as net:
        await net.start_server(echo, port=7)
        await net.ping(HOME[0], timeout=30)
        print("ready", flush=True)
        found = await run_transfers(number, seed, net.open_connection, HOME, 7)
        print(json.dumps(found), flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def direct(number: int, seed: int) -> None:
    """Make transfers to the laptop."""
    print(json.dumps(await run_transfers(number, seed, asyncio.open_connection, LAPTOP, 7)))


if __name__ == "__main__":
    if sys.argv[1] == "direct":
        asyncio.run(direct(int(sys.argv[2]), int(sys.argv[3])))
    else:
        asyncio.run(laptop(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))

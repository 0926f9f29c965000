"""One stream through a network to the echo server at home, until the input ends; run in the laptop.

    python echo_stream.py STACK [fast-rekey]

Sends and compares at the same time, so that there are always packets in flight. With fast-rekey it
renews its session every second. Prints "ready", and in the end how many bytes came back unchanged.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys

import holloway
import holloway.core.peer
from holloway.core.constants import SECOND

HOME = "10.10.10.5"
CHUNK = 1 << 16
SEED = 3
TIMEOUT = 60
"""Seconds without a chunk after which the stream counts as stalled."""


async def send(writer: asyncio.StreamWriter, stopped: asyncio.Event) -> int:
    """Send chunks; returns their number."""
    source, count = random.Random(SEED), 0
    while not stopped.is_set():
        writer.write(source.randbytes(CHUNK))
        await writer.drain()
        count += 1
    writer.write_eof()
    return count


async def compare(reader: asyncio.StreamReader) -> int:
    """Read the same chunks back; returns their number."""
    source, count = random.Random(SEED), 0
    while received := await chunk(reader):
        assert received == source.randbytes(CHUNK), f"chunk {count} came back otherwise"
        count += 1
    return count


async def chunk(reader: asyncio.StreamReader) -> bytes:
    """Return the next chunk, or less at the end."""
    async with asyncio.timeout(TIMEOUT):
        try:
            return await reader.readexactly(CHUNK)
        except asyncio.IncompleteReadError as end:
            return end.partial


async def main(stack: str) -> None:
    stopped = asyncio.Event()
    async with holloway.Network.from_config("laptop.conf", stack=stack) as net:
        reader, writer = await net.open_connection(HOME, 7)
        print("ready", flush=True)
        asyncio.get_running_loop().add_reader(sys.stdin, stopped.set)
        with contextlib.closing(writer):
            sent, back = await asyncio.gather(send(writer, stopped), compare(reader))
    assert sent == back
    print(json.dumps({"bytes": back * CHUNK}))


if __name__ == "__main__":
    if "fast-rekey" in sys.argv:
        vars(holloway.core.peer).update(REKEY_AFTER_TIME=SECOND, REKEY_TIMEOUT=SECOND)
    asyncio.run(main(sys.argv[1]))

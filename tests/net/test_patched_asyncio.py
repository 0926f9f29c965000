"""`patched()` of a network of asyncio, in its own event loop and in threads of that program."""

from __future__ import annotations

import asyncio
import socket

import pytest

from net.pair import FIRST, SECOND, echo, pair
from net.test_resolve import serve


async def through_asyncio() -> bytes:
    reader, writer = await asyncio.open_connection("nas.home", 5000)
    writer.write(b"hello")
    answer = await reader.readexactly(5)
    writer.close()
    await writer.wait_closed()
    return answer


def through_a_thread() -> tuple[bytes, str]:
    with socket.create_connection(("nas.home", 5000), 20, ("", 0)) as sock:
        sock.sendall(b"hello")
        return sock.recv(100), sock.getsockname()[0]


def test_asyncio_and_blocking_code_in_threads_are_inside(stack: str) -> None:
    async def run() -> None:
        async with pair(stack, dns=[FIRST[0]]) as both:
            transport = await serve(both)
            await both.first.start_server(echo, FIRST[0], 5000)
            with both.second.patched():
                assert await asyncio.wait_for(through_asyncio(), 20) == b"hello"
                assert await asyncio.to_thread(through_a_thread) == (b"hello", SECOND[0])
                for blocking in (
                    lambda: socket.gethostbyname("nas.home"),
                    lambda: socket.create_connection((FIRST[0], 5000)),
                ):
                    with pytest.raises(RuntimeError, match=r"asyncio\.to_thread"):
                        blocking()
            transport.close()

    asyncio.run(run())

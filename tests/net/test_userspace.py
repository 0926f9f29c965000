"""The userspace stack's own behaviour; what both stacks do is in `test_network`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
import uvloop

from holloway.net.blocking import BlockingNetwork
from net.pair import FIRST, SECOND, descriptors, echo, network, new_key, pair
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("number", [0, 1])
def test_both_directions_may_be_full_at_once(number: int) -> None:
    async def run() -> None:
        async with pair("userspace") as both:
            await both.first.start_server(echo, port=5000)
            reader, writer = await both.second.open_connection(FIRST[number], 5000)
            sent = os.urandom(32 << 20)  # more than all buffers on the path hold
            writer.write(sent)
            assert await reader.readexactly(len(sent)) == sent
            writer.close()

    asyncio.run(run())


def test_a_socket_knows_its_addresses_and_accepts_options_of_tcp() -> None:
    async def run() -> None:
        async with pair("userspace") as both:
            listener = await both.first.listen(5000)
            made = await both.second.connect(FIRST[0], 5000)
            accepted, address = await listener.accept()
            assert made.getsockname() == address == accepted.getpeername()
            assert made.getpeername() == accepted.getsockname() == (FIRST[0], 5000)
            assert address[0] == SECOND[0]
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
            made.close()
            accepted.close()
            listener.close()

    asyncio.run(run())


def test_hundreds_of_connections_leave_nothing_behind() -> None:
    async def run() -> None:
        async with pair("userspace") as both:
            await both.first.start_server(echo, port=5000)
            before = descriptors()

            async def once() -> None:
                reader, writer = await both.second.open_connection(FIRST[0], 5000)
                writer.write(b"x")
                assert await reader.readexactly(1) == b"x"
                writer.close()
                await writer.wait_closed()

            for _ in range(10):
                await asyncio.gather(*(once() for _ in range(50)))
            assert await wait_until(lambda: descriptors() <= before)

    asyncio.run(run())


def test_little_waits_for_a_peer_that_never_reads() -> None:
    async def taken(buffer: int) -> int:
        """Write until no more fits; returns how many bytes."""
        async with pair("userspace", buffer=buffer) as both:
            listener = await both.first.listen(5000)
            sender = await both.second.connect(FIRST[0], 5000)
            receiver, _ = await listener.accept()
            listener.close()
            loop, total = asyncio.get_running_loop(), 0
            with contextlib.suppress(TimeoutError), sender, receiver:
                while total < 32 << 20:
                    async with asyncio.timeout(0.5):
                        await loop.sock_sendall(sender, bytes(16384))
                    total += 16384
            return total

    # A window grows as its program reads, so the size of the buffers makes no difference.
    assert asyncio.run(taken(64 << 10)) < 2 << 20
    assert asyncio.run(taken(4 << 20)) < 2 << 20


def test_many_peers_that_stop_reading_share_a_budget() -> None:
    """Each of 60 connections reads enough that its window grows, and then no more."""

    async def run() -> None:
        async with pair("userspace") as both:
            loop, listener = asyncio.get_running_loop(), await both.first.listen(5000)
            made = [await both.second.connect(FIRST[0], 5000) for _ in range(60)]
            accepted = [(await listener.accept())[0] for _ in made]
            listener.close()
            before, moved = resident(), 0

            async def write(sock: socket.socket) -> None:
                nonlocal moved
                while True:
                    await loop.sock_sendall(sock, CHUNK)
                    moved += len(CHUNK)

            async def read(sock: socket.socket) -> None:
                left = 4 << 20
                while left > 0:
                    left -= len(await loop.sock_recv(sock, 1 << 18))

            writers = [asyncio.create_task(write(sock)) for sock in made]
            await asyncio.gather(*map(read, accepted))
            while (last := moved) is not None:
                await asyncio.sleep(1)
                if moved == last:
                    break
            # Half of the budget of 128 MiB is shared, at either end.
            assert resident() - before < 160 << 20
            for task in writers:
                task.cancel()
            await asyncio.gather(*writers, return_exceptions=True)
            for sock in made + accepted:
                sock.close()

    asyncio.run(run())


def resident() -> int:
    """The resident memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_a_buffer_that_is_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 4096 bytes: 0"):
        network(1, new_key(), stack="userspace", buffer=0)


def test_uvloop_refuses_sockets_whose_addresses_it_would_lose() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with pair("userspace") as both:
            with both.first.socket() as listener:
                listener.bind((FIRST[0], 5000))
                listener.listen()
                with pytest.raises(ValueError, match="Stream Socket was expected"):
                    await loop.create_server(asyncio.Protocol, sock=listener)
            udp = both.first.socket(type=socket.SOCK_DGRAM)
            with udp, pytest.raises(ValueError, match="UDP Socket was expected"):
                await loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=udp)
            await both.first.start_server(echo, port=5000)
            made = await both.second.connect(FIRST[0], 5000)
            reader, writer = await asyncio.open_connection(sock=made)
            writer.write(b"x")
            assert await reader.readexactly(1) == b"x"
            writer.close()

    uvloop.run(run())


def test_a_fork_may_not_connect_bind_or_listen() -> None:
    with (
        BlockingNetwork(network(1, new_key(), stack="userspace")) as opened,
        opened.socket() as made,
        opened.socket() as bound,
    ):
        bound.bind(("", 0))
        calls: list[Callable[[], object]] = [
            lambda: made.connect((SECOND[0], 80)), lambda: made.bind(("", 0)),
            bound.listen, opened.socket,
        ]  # fmt: skip
        child = os.fork()
        if child == 0:
            refused = 0
            try:
                for call in calls:
                    with contextlib.suppress(PermissionError):
                        call()
                        break
                    refused += 1
            finally:
                os._exit(refused)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == len(calls)


def test_only_tcp_and_udp_are_there() -> None:
    async def run() -> None:
        async with pair("userspace") as both:
            with pytest.raises(OSError, match="sockets for TCP and UDP"):
                both.first.socket(type=socket.SOCK_RAW, proto=socket.IPPROTO_ICMP)
            with pytest.raises(OSError, match="Address family not supported"):
                both.first.socket(socket.AF_UNIX)

    asyncio.run(run())


CHUNK: Final = bytes(1 << 16)

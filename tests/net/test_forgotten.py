"""A network that nothing refers to any more is closed, with a ResourceWarning."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import weakref
from typing import TYPE_CHECKING

import pytest

from holloway import DeviceUpdate, Endpoint
from hosts import eventually
from net.blocking_pair import open_two
from net.pair import FIRST, SECOND, descriptors, echo, network, new_key, pair, peer
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holloway import Network


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """Only counts of references free anything: nothing forms a cycle."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def test_a_forgotten_network_is_closed(stack: str) -> None:
    async def use() -> tuple[Network, asyncio.StreamWriter]:
        forgotten = await network(1, new_key(), stack=stack).open()
        await forgotten.start_server(echo, port=5000)
        reader, writer = await forgotten.open_connection(FIRST[0], 5000)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        with contextlib.suppress(ConnectionRefusedError):  # pytest keeps what it expects
            await forgotten.connect(FIRST[0], 9)
        await forgotten.resolve("localhost")
        await asyncio.sleep(0)  # until its next step, the event loop holds the last error
        return forgotten, writer

    async def run() -> None:
        before = descriptors()
        with without_collector():
            forgotten, writer = await use()
            weak = weakref.ref(forgotten)
            with pytest.warns(ResourceWarning, match="unclosed network holloway"):
                del forgotten
            assert weak() is None
            with contextlib.suppress(ConnectionError):
                await asyncio.wait_for(writer.wait_closed(), 20)
        assert await wait_until(lambda: descriptors() <= before)

    asyncio.run(run())


def test_a_forgotten_network_resets_its_connections(stack: str) -> None:
    async def run() -> None:
        ended: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

        class Watch(asyncio.Protocol):
            def connection_lost(self, error: Exception | None) -> None:
                ended.set_result(error)

        async with pair(stack) as both:
            await both.first.create_server(Watch, port=5000)
            key, server_key = new_key(), both.first.device.private_key
            assert server_key is not None
            both.first.set(DeviceUpdate(peers=(peer(key, "10.7.0.3/32"),)))
            there = Endpoint("127.0.0.1", both.port)
            forgotten = network(3, key, peer(server_key, *FIRST, endpoint=there), stack=stack)
            await forgotten.open()
            sock = await forgotten.connect(FIRST[0], 5000)
            with pytest.warns(ResourceWarning, match="unclosed network"):
                del forgotten
            assert isinstance(await asyncio.wait_for(ended, 20), ConnectionResetError)
            sock.close()

    asyncio.run(run())


def test_a_forgotten_blocking_network_is_closed_and_its_thread_ends(stack: str) -> None:
    before, threads = descriptors(), threading.active_count()
    with without_collector():
        first, second = open_two(stack)
        listener = first.listen(5000)
        sock = second.connect(FIRST[0], 5000, timeout=20)
        accepted, _ = listener.accept(timeout=20)
        with contextlib.suppress(ConnectionRefusedError):
            second.connect(FIRST[0], 9, timeout=20)
        weak = weakref.ref(second)
        with pytest.warns(ResourceWarning, match="unclosed network") as warned:  # noqa: PT031
            del second
            # Not at once: the thread of the loop may still hold the last error for a moment.
            with pytest.raises(ConnectionResetError):
                accepted.recv(1)
        assert len(warned) == 1
        del warned  # it refers to what was forgotten
        assert weak() is None
        with pytest.raises(ConnectionError):
            sock.recv(1)
    for each in (accepted, sock, listener, first):
        each.close()
    del each, first, listener
    assert eventually(lambda: threading.active_count() == threads)
    assert eventually(lambda: descriptors() <= before)


def test_a_network_that_outlives_its_loop_is_closed_when_forgotten(stack: str) -> None:
    before = descriptors()
    left = asyncio.run(network(1, new_key(), stack=stack).open())
    with pytest.warns(ResourceWarning, match="unclosed network"):
        del left
    assert descriptors() <= before


def test_what_is_closed_or_was_never_open_is_forgotten_in_silence(stack: str) -> None:
    async def run() -> None:
        async with network(1, new_key(), stack=stack):
            pass
        network(1, new_key(), stack=stack)
        with pytest.raises(ValueError, match="no such stack"):
            network(1, new_key(), peer(new_key(), SECOND[0]), stack="neither")

    asyncio.run(run())
    gc.collect()

"""A network serves the event loop that opened it; other uses get an error that says so."""

from __future__ import annotations

import asyncio
import functools
import threading
from typing import TYPE_CHECKING, Any

import pytest

from holloway import DeviceUpdate, Endpoint
from net.blocking_pair import open_two
from net.pair import FIRST, SECOND, echo, network, new_key, pair, peer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from holloway import Network

USES: dict[str, Callable[[Network], Coroutine[Any, Any, Any]]] = {
    "connect": lambda net: net.connect(FIRST[0], 5000),
    "open_connection": lambda net: net.open_connection(FIRST[0], 5000),
    "listen": lambda net: net.listen(6000),
    "start_server": lambda net: net.start_server(echo, port=6000),
    "datagram_endpoint": lambda net: net.create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=("", 53)
    ),
    "ping": lambda net: net.ping(FIRST[0]),
    "resolve": lambda net: net.resolve("localhost"),
    "close": lambda net: net.close(),
}


def test_another_event_loop_is_refused_by_the_networks_name(stack: str) -> None:
    def elsewhere(work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        with pytest.raises(RuntimeError, match="the network holloway belongs to the event loop"):
            asyncio.run(work())

    async def run() -> None:
        async with pair(stack) as both:
            listener = await both.first.listen(5000)
            for use in USES.values():
                await asyncio.to_thread(elsewhere, functools.partial(use, both.second))
            await asyncio.to_thread(refuse_setting, both.second)
            await asyncio.to_thread(refuse_accepting, listener)
            listener.close()
            assert await both.second.ping(FIRST[0]) > 0

    def refuse_setting(net: Network) -> None:
        with pytest.raises(RuntimeError, match="the network holloway belongs"):
            net.set(DeviceUpdate())

    def refuse_accepting(listener: Any) -> None:
        with pytest.raises(RuntimeError, match="the listener belongs"):
            asyncio.run(listener.accept())

    asyncio.run(run())


def test_a_network_whose_loop_has_ended_says_so_and_can_be_closed(stack: str) -> None:
    async def far_end() -> None:
        ended: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

        class Watch(asyncio.Protocol):
            def connection_lost(self, error: Exception | None) -> None:
                ended.set_result(error)

        key, server_key = new_key(), new_key()
        async with network(1, server_key, peer(key, *SECOND), stack=stack) as server:
            await server.create_server(Watch, port=5000)
            there = Endpoint("127.0.0.1", server.device.listen_port)
            left = network(2, key, peer(server_key, *FIRST, endpoint=there), stack=stack)
            await asyncio.to_thread(use_in_a_loop_of_its_own, left)
            assert isinstance(await asyncio.wait_for(ended, 20), ConnectionResetError)

    def use_in_a_loop_of_its_own(net: Network) -> None:
        async def start() -> Any:
            await net.open()
            return await net.connect(FIRST[0], 5000)

        sock = asyncio.run(start())
        with pytest.raises(RuntimeError, match=r"the network holloway .* which is closed"):
            asyncio.run(net.ping(FIRST[0]))
        asyncio.run(net.close())
        asyncio.run(net.close())
        with pytest.raises(OSError, match="the network is closed"):
            asyncio.run(net.ping(FIRST[0]))
        sock.close()

    asyncio.run(far_end())


def test_a_blocking_call_in_the_networks_own_loop_is_refused(stack: str) -> None:
    first, second = open_two(stack)
    with first, second:
        listener = first.listen(5000)

        async def work() -> None:
            for use in (
                lambda: second.connect(FIRST[0], 5000),
                lambda: second.ping(FIRST[0]),
                lambda: second.device,
                lambda: second.run(asyncio.sleep(0)),
                second.close,
            ):
                with pytest.raises(
                    RuntimeError, match="the network holloway would wait for itself"
                ):
                    use()
            assert await second.network.ping(FIRST[0]) > 0
            assert await asyncio.to_thread(second.ping, FIRST[0]) > 0

        second.run(work())
        listener.close()


def test_what_runs_in_the_loop_ends_with_the_network(stack: str) -> None:
    first, second = open_two(stack)
    ends: list[BaseException] = []
    has_begun = threading.Event()

    async def wait() -> None:
        has_begun.set()
        await asyncio.sleep(1000)

    def block() -> None:
        try:
            second.run(wait())
        except OSError as error:
            ends.append(error)

    with first, second:
        blocked = threading.Thread(target=block)
        blocked.start()
        has_begun.wait(20)
    blocked.join(20)
    assert str(ends[0]).endswith("the network is closed")


def test_opening_returns_the_network(stack: str) -> None:
    async def run() -> None:
        made = network(1, new_key(), stack=stack)
        opened = await made.open()
        assert opened is made
        await opened.close()

    asyncio.run(run())

"""The address that a connection comes from: `local_addr`, `source_address`, and the old name."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

import holloway
from holloway.net.renamed import renamed
from net.pair import FIRST, SECOND, new_key, pair

if TYPE_CHECKING:
    from holloway.net.blocking import BlockingListener
    from holloway.net.sockets import Listener
    from holloway.net.stack import Address


async def client_of(listener: Listener) -> Address:
    connection, address = await asyncio.wait_for(listener.accept(), 20)
    connection.close()
    return address


def accepted(listener: BlockingListener) -> Address:
    connection, address = listener.accept(timeout=20)
    connection.close()
    return address


def test_a_connection_comes_from_the_address_that_was_asked_for(stack: str) -> None:
    async def run() -> None:
        async with pair(stack) as both:
            listener = await both.first.listen(5000)
            with await both.second.connect(FIRST[0], 5000, local_addr=(SECOND[0], 4001)):
                assert await client_of(listener) == (SECOND[0], 4001)
            there = (FIRST[0], 5000)
            _, writer = await both.second.open_connection(*there, local_addr=(SECOND[0], 4002))
            assert await client_of(listener) == (SECOND[0], 4002)
            writer.close()
            transport, _ = await both.second.create_connection(
                asyncio.Protocol, *there, local_addr=(SECOND[0], 4003)
            )
            assert await client_of(listener) == (SECOND[0], 4003)
            transport.close()
            for connect in (both.second.connect, both.second.open_connection):
                with pytest.warns(DeprecationWarning, match="source= is now local_addr=") as old:
                    made = await connect(*there, source=(SECOND[0], 0))
                assert old[0].filename == __file__
                (made[1] if isinstance(made, tuple) else made).close()
            listener.close()

    asyncio.run(run())


def test_the_blocking_twin_calls_it_as_socket_does(stack: str) -> None:
    text = f"[Interface]\nPrivateKey = {new_key().base64}\nAddress = {FIRST[0]}"
    with holloway.open(text, stack=stack) as net, net.listen(5000, FIRST[0]) as listener:
        net.connect(FIRST[0], 5000, source_address=(FIRST[0], 4001)).close()
        assert accepted(listener) == (FIRST[0], 4001)
        with pytest.warns(DeprecationWarning, match="source= is now source_address=") as old:
            net.connect(FIRST[0], 5000, source=(FIRST[0], 4002)).close()
        assert old[0].filename == __file__
        assert accepted(listener) == (FIRST[0], 4002)


def test_both_names_at_once_are_refused() -> None:
    with pytest.raises(TypeError, match="source is the old name of local_addr: give one"):
        renamed("source", ("10.7.0.1", 1), "local_addr", ("10.7.0.1", 2))

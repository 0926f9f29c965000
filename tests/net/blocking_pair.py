"""Two blocking networks in one program, each the other's peer, as in `pair`."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple

from holloway import Endpoint
from holloway.net.blocking import BlockingNetwork
from net.pair import FIRST, SECOND, echo, network, new_key, peer
from net.test_resolve import OverUdp

if TYPE_CHECKING:
    from collections.abc import Iterator

ECHO = 7


class BlockingPair(NamedTuple):
    """`nas.home` is `first`, which echoes TCP at port 7; `second` has its endpoint."""

    first: BlockingNetwork
    second: BlockingNetwork


def open_two(stack: str, *more: str, **options: Any) -> tuple[BlockingNetwork, BlockingNetwork]:
    """Open both; the second has the endpoint of the first, which has `more` allowed IPs there."""
    keys = new_key(), new_key()
    first = BlockingNetwork(network(1, keys[0], peer(keys[1], *SECOND), stack=stack))
    there = Endpoint("127.0.0.1", first.device.listen_port)
    other = peer(keys[0], *FIRST, *more, endpoint=there)
    return first, BlockingNetwork(network(2, keys[1], other, stack=stack, **options))


@contextlib.contextmanager
def blocking_pair(stack: str) -> Iterator[BlockingPair]:
    """Open both; the first one is the second's name server."""
    first, second = open_two(stack, "10.7.1.0/24", dns=[FIRST[0], "home"])
    with first, second:
        first.run(first.network.start_server(echo, port=ECHO))
        transport, _ = first.run(
            first.network.create_datagram_endpoint(OverUdp, local_addr=(FIRST[0], 53))
        )
        yield BlockingPair(first, second)
        first.run(_close(transport))


async def _close(transport: object) -> None:
    transport.close()  # type: ignore[attr-defined]

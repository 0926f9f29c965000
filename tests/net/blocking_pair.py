"""Two blocking networks in one program, as in `pair`; the first one is the second's name server."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

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


@contextlib.contextmanager
def blocking_pair(stack: str) -> Iterator[BlockingPair]:
    keys = new_key(), new_key()
    with BlockingNetwork(network(1, keys[0], peer(keys[1], *SECOND), stack=stack)) as first:
        first.run(first.network.start_server(echo, port=ECHO))
        transport, _ = first.run(
            first.network.create_datagram_endpoint(OverUdp, local_addr=(FIRST[0], 53))
        )
        there = Endpoint("127.0.0.1", first.device.listen_port)
        other = peer(keys[0], *FIRST, "10.7.1.0/24", endpoint=there)
        dns = [FIRST[0], "home"]
        with BlockingNetwork(network(2, keys[1], other, stack=stack, dns=dns)) as second:
            yield BlockingPair(first, second)
        first.run(_close(transport))


async def _close(transport: object) -> None:
    transport.close()  # type: ignore[attr-defined]

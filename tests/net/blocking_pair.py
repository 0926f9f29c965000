"""Two blocking networks in one program, each the other's peer; for tests and their scripts."""

from __future__ import annotations

from holloway import Endpoint
from holloway.net.blocking import BlockingNetwork
from net.pair import FIRST, SECOND, network, new_key, peer


def open_two(stack: str) -> tuple[BlockingNetwork, BlockingNetwork]:
    """Open both; the second has the endpoint of the first."""
    keys = new_key(), new_key()
    first = BlockingNetwork(network(1, keys[0], peer(keys[1], *SECOND), stack=stack))
    there = Endpoint("127.0.0.1", first.device.listen_port)
    other = peer(keys[0], *FIRST, endpoint=there)
    return first, BlockingNetwork(network(2, keys[1], other, stack=stack))

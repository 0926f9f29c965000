"""Two networks in one program, each the other's peer: 10.7.0.1 and .2, fd07::1 and ::2."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holloway import AllowedIP, Endpoint, Key, Network, PeerUpdate
from holloway.net.namespace import Namespace
from holloway.net.stack import BUFFER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

FIRST = ("10.7.0.1", "fd07::1")
SECOND = ("10.7.0.2", "fd07::2")


@dataclass(frozen=True)
class Pair:
    """`second` has the endpoint of `first`, not the other way round."""

    first: Network
    second: Network

    @property
    def port(self) -> int:
        """The UDP port of the first."""
        return self.first.device.listen_port


def new_key() -> Key:
    return Key(os.urandom(32)).clamped()


def peer(key: Key, *networks: str, endpoint: Endpoint | None = None) -> PeerUpdate:
    """Return another network as a peer."""
    allowed = tuple(map(AllowedIP.parse, networks))
    return PeerUpdate(public_key=key.public(), endpoint=endpoint, allowed_ips=allowed)


def network(
    number: int,
    key: Key,
    *peers: PeerUpdate,
    stack: str | None,
    dns: Sequence[str] = (),
    buffer: int = BUFFER,
) -> Network:
    return Network(
        private_key=key,
        addresses=[f"10.7.0.{number}/24", f"fd07::{number}/64"],
        peers=peers,
        stack=stack,
        dns=dns,
        buffer=buffer,
    )


@contextlib.asynccontextmanager
async def pair(
    stack: str = "kernel", dns: Sequence[str] = (), buffer: int = BUFFER
) -> AsyncIterator[Pair]:
    keys = new_key(), new_key()
    first = network(1, keys[0], peer(keys[1], *SECOND), stack=stack, buffer=buffer)
    async with first:
        there = Endpoint("127.0.0.1", first.device.listen_port)
        other = peer(keys[0], *FIRST, "10.8.0.0/16", endpoint=there)
        async with network(2, keys[1], other, stack=stack, dns=dns, buffer=buffer) as second:
            yield Pair(first, second)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send every byte back."""
    with contextlib.closing(writer), contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()


def descriptors() -> int:
    """Return the number of open file descriptors of this process.

    Less those of what nobody refers to, and of sockets that are made and not yet asked for.
    """
    gc.collect()
    pooled = sum(each.pooled for each in gc.get_objects() if type(each) is Namespace)
    return len(os.listdir("/proc/self/fd")) - pooled

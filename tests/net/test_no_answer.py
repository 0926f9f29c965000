"""Waits that end without an answer: they say whether there was a handshake, and are bounded."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from typing import TYPE_CHECKING

import pytest

from holloway import DeviceUpdate, Endpoint, Key, PeerUpdate
from holloway.net import no_answer
from holloway.net.blocking import BlockingNetwork
from net.pair import FIRST, SECOND, network, new_key, pair, peer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holloway import Network

NOWHERE = Endpoint("255.255.255.255", 9)  # without SO_BROADCAST, sending to it is EACCES
OTHER_HOST = "10.8.0.1"  # behind the first of a pair; nobody has it


@contextlib.contextmanager
def silent_endpoint() -> Iterator[Endpoint]:
    """A UDP port of this machine that answers nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield Endpoint(*sock.getsockname())


def lonely(stack: str, key: Key, endpoint: Endpoint, dns: tuple[str, ...] = ()) -> Network:
    return network(1, new_key(), peer(key, *SECOND, endpoint=endpoint), stack=stack, dns=dns)


def words(key: Key, endpoint: Endpoint) -> str:
    return f"no handshake with peer {key.public().base64} at {endpoint}: no answer for "


def test_a_timeout_without_a_handshake_says_so(stack: str) -> None:
    async def run() -> None:
        key = new_key()
        with silent_endpoint() as endpoint:
            async with lonely(stack, key, endpoint, dns=(SECOND[0],)) as net:
                asked = (
                    net.connect(SECOND[0], 80, timeout=0.2),
                    net.open_connection(SECOND[0], 80, timeout=0.2),
                    net.create_connection(asyncio.Protocol, SECOND[1], 80, timeout=0.2),
                    net.ping(SECOND[1], timeout=0.2),
                    net.connect("name.home", 80, timeout=0.2),
                )
                for error in await asyncio.gather(*asked, return_exceptions=True):
                    assert type(error) is TimeoutError
                    assert error.errno == errno.ETIMEDOUT
                    assert words(key, endpoint) in str(error)
                assert str(error).startswith("[Errno 110] looking up name.home: no handshake")

    asyncio.run(run())


def test_a_connection_without_a_timeout_waits_for_a_handshake_only_so_long(
    stack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(no_answer, "HANDSHAKE_SECONDS", 0.2)

    async def run() -> None:
        key = new_key()
        with silent_endpoint() as endpoint:
            async with lonely(stack, key, endpoint) as net, asyncio.timeout(60):
                with pytest.raises(TimeoutError) as raised:
                    await net.connect(SECOND[0], 80)
                assert words(key, endpoint) in str(raised.value)

    asyncio.run(run())


def test_a_connection_through_a_session_waits_on(
    stack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(no_answer, "HANDSHAKE_SECONDS", 0.1)
    monkeypatch.setattr(no_answer, "CHECK_SECONDS", 0.1)

    async def run() -> None:
        async with pair(stack) as both:
            await both.second.ping(FIRST[0])
            waiting = asyncio.create_task(both.second.connect(OTHER_HOST, 80))
            done, _ = await asyncio.wait([waiting], timeout=0.5)
            assert not done
            waiting.cancel()

    asyncio.run(run())


def test_where_the_tunnel_works_the_host_is_named(stack: str) -> None:
    async def run() -> None:
        async with pair(stack) as both:
            await both.second.ping(FIRST[0])
            (other,) = both.second.device.peers
            through = f"through peer {other.public_key.base64}: the tunnel works"
            with pytest.raises(TimeoutError) as raised:
                await both.second.connect(OTHER_HOST, 80, timeout=0.2)
            assert f"no answer from {OTHER_HOST} port 80 {through}" in str(raised.value)
            with pytest.raises(TimeoutError) as raised:
                await both.second.ping(OTHER_HOST, timeout=0.2)
            assert f"no answer from {OTHER_HOST} {through}" in str(raised.value)

    asyncio.run(run())


def test_preshared_keys_that_differ_are_named() -> None:
    async def run() -> None:
        async with pair("userspace") as both:
            (other,) = both.second.device.peers
            both.second.set(_with_preshared_key(other.public_key))
            with pytest.raises(TimeoutError, match="check that PresharedKey is the same there"):
                await both.second.ping(FIRST[0], timeout=1)

    asyncio.run(run())


def test_a_system_that_cannot_send_is_named() -> None:
    async def run() -> None:
        async with lonely("userspace", new_key(), NOWHERE) as net:
            with pytest.raises(TimeoutError, match="cannot send to it: Permission denied"):
                await net.ping(SECOND[0], timeout=0.5)

    asyncio.run(run())


def test_the_blocking_twin_says_the_same(stack: str) -> None:
    key = new_key()
    with silent_endpoint() as endpoint, BlockingNetwork(lonely(stack, key, endpoint)) as net:
        with pytest.raises(TimeoutError) as raised:
            net.connect(SECOND[0], 80, timeout=0.2)
        assert words(key, endpoint) in str(raised.value)
        with pytest.raises(TimeoutError) as raised:
            net.ping(SECOND[0], timeout=0.2)
        assert words(key, endpoint) in str(raised.value)
        nobody = pytest.raises(TimeoutError, match="no connection to port 80 within")
        with net.listen(80) as listener, nobody:
            listener.accept(timeout=0.1)


def _with_preshared_key(public_key: Key) -> DeviceUpdate:
    return DeviceUpdate(peers=(PeerUpdate(public_key, preshared_key=new_key()),))

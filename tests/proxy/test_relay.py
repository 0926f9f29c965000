"""The relay between a client and a target that is still connecting, with real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from typing import TYPE_CHECKING

import pytest

from holloway.net import sockets
from holloway.proxy.relay import NotConnected, Options, Outcome, Relay
from proxy.proxy_harness import sockets as open_sockets
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def full_listener() -> Iterator[tuple[str, int]]:
    """A listener that answers no connection attempt, because its queue is full."""
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as listener,
        contextlib.ExitStack() as queue,
    ):
        address = listener.getsockname()
        for _ in range(3):
            filler = queue.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(address)
        yield address


def connecting(address: tuple[str, int]) -> socket.socket:
    return sockets.start_connecting(socket.socket(), address)


@contextlib.contextmanager
def client() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The two ends of a client's connection: the client's, and ours."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname(), timeout=10)
        ours, _ = listener.accept()
    ours.setblocking(False)
    with theirs, ours:
        yield theirs, ours


async def run(
    relay: Relay, ours: socket.socket, target: socket.socket, options: Options
) -> Outcome:
    return await relay.run(ours, target, options, lambda _: None)


def test_both_get_their_greeting_before_the_bytes_of_the_other() -> None:
    async def main() -> None:
        relay = Relay()
        with client() as (theirs, ours), socket.create_server(("127.0.0.1", 0)) as server:
            theirs.sendall(b" from the client")
            options = Options(None, b"welcome", b"hello", connect_timeout=20)
            task = asyncio.create_task(run(relay, ours, connecting(server.getsockname()), options))
            target, _ = await asyncio.to_thread(server.accept)
            with target:
                target.settimeout(10)
                assert await asyncio.to_thread(target.recv, 5) == b"hello"
                assert await asyncio.to_thread(target.recv, 100) == b" from the client"
                assert await asyncio.to_thread(theirs.recv, 7) == b"welcome"
                target.sendall(b"bytes")
                assert await asyncio.to_thread(theirs.recv, 100) == b"bytes"
            theirs.close()
            # What the target gets first counts as sent, as it is from the client.
            assert await task == Outcome(21, 5)
        relay.close()

    asyncio.run(main())


def test_a_refused_connection_returns_the_client_unchanged() -> None:
    async def main() -> None:
        relay = Relay()
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            with client() as (theirs, ours):
                theirs.sendall(b"request")
                target = connecting(unused.getsockname())
                with pytest.raises(NotConnected) as failed:
                    await run(relay, ours, target, Options(None, b"no", b"no", 20))
                assert failed.value.error.errno == errno.ECONNREFUSED
                assert not failed.value.has_client_left
                with failed.value.client as returned:
                    assert returned.recv(100) == b"request"
                    returned.sendall(b"sorry")
                assert theirs.recv(100) == b"sorry"
        relay.close()

    asyncio.run(main())


def test_a_target_that_does_not_answer_times_out() -> None:
    async def main() -> None:
        relay = Relay()
        with full_listener() as address, client() as (_, ours):
            with pytest.raises(NotConnected) as failed:
                await run(relay, ours, connecting(address), Options(connect_timeout=0.05))
            assert failed.value.error.errno == errno.ETIMEDOUT
            failed.value.client.close()
        relay.close()

    asyncio.run(main())


def test_a_client_that_leaves_ends_the_attempt() -> None:
    async def main() -> None:
        relay = Relay()
        with full_listener() as address, client() as (theirs, ours):
            task = asyncio.create_task(
                run(relay, ours, connecting(address), Options(connect_timeout=60))
            )
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            theirs.close()
            with pytest.raises(NotConnected) as failed:
                await task
            assert failed.value.has_client_left
            failed.value.client.close()
        relay.close()

    asyncio.run(main())


@pytest.mark.parametrize("is_cancelled", [True, False])
def test_what_is_still_connecting_leaves_no_socket_behind(is_cancelled: bool) -> None:
    async def main() -> None:
        before = open_sockets()
        relay = Relay()
        with full_listener() as address:
            for _ in range(3):
                with client() as (_, ours):
                    task = asyncio.create_task(
                        run(relay, ours, connecting(address), Options(connect_timeout=60))
                    )
                    await asyncio.sleep(0)
                    if is_cancelled:
                        task.cancel()
                    else:
                        relay.close()
                    with pytest.raises((asyncio.CancelledError, NotConnected, OSError)) as failed:
                        await task
                    if isinstance(failed.value, NotConnected):
                        failed.value.client.close()
        assert await wait_until(lambda: open_sockets() == before)
        relay.close()

    asyncio.run(main())

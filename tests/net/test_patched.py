"""`net.patched()`: what `socket` makes in the block is inside the tunnel, and nothing else is."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import http.server
import selectors
import socket
import ssl
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from socket import create_connection as earlier_create_connection
from socket import socket as earlier_socket
from typing import TYPE_CHECKING

import pytest

from net.blocking_pair import ECHO, BlockingPair, blocking_pair
from net.certificate import certificate
from net.pair import FIRST, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from holloway.net.blocking import BlockingNetwork


@pytest.fixture(scope="module", params=["kernel", "userspace"])
def both(request: pytest.FixtureRequest) -> Iterator[BlockingPair]:
    with blocking_pair(request.param) as made:
        yield made


@pytest.fixture
def net(both: BlockingPair) -> BlockingNetwork:
    return both.second


def is_inside(address: str = SECOND[0]) -> bool:
    """Return whether a new socket can have an address of the second network."""
    with socket.socket() as sock:
        try:
            sock.bind((address, 0))
        except OSError:
            return False
        return True


def echoes(sock: socket.socket) -> bool:
    with sock:
        sock.settimeout(20)
        sock.sendall(b"hello")
        return sock.recv(100) == b"hello"


def test_connections_in_the_block_are_inside(net: BlockingNetwork) -> None:
    with net.patched():
        for connect in (socket.create_connection, earlier_create_connection):
            assert echoes(connect(("nas.home", ECHO)))
        for made in (socket.socket(), earlier_socket(socket.AF_INET6)):
            made.connect(("nas.home", ECHO))
            assert echoes(made)
        with socket.socket() as refused, pytest.raises(ConnectionRefusedError):
            refused.connect((FIRST[0], 9))
        assert is_inside()
    assert not is_inside()


def test_all_is_restored_at_the_end(net: BlockingNetwork) -> None:
    owners = (socket, socket.socket, threading.Thread, ThreadPoolExecutor)
    before = [dict(vars(owner)) for owner in owners]
    with net.patched(), contextlib.suppress(KeyError), net.patched():
        raise KeyError
    assert [dict(vars(owner)) for owner in owners] == before


def test_what_somebody_else_replaces_in_the_block_stays(
    net: BlockingNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostbyname", socket.gethostbyname)  # restores it afterwards
    with net.patched():
        ours = socket.gethostbyname
        theirs = lambda host: ours(host)  # noqa: E731, PLW0108
        monkeypatch.setattr(socket, "gethostbyname", theirs)
    assert socket.gethostbyname is theirs
    assert socket.gethostbyname("127.0.0.1") == "127.0.0.1"


def test_blocks_may_be_nested(both: BlockingPair) -> None:
    first, second = both
    with second.patched():
        with first.patched():
            assert is_inside(FIRST[0])
            assert not is_inside(SECOND[0])
        with second.patched():
            pass
        assert is_inside(SECOND[0])


def test_a_block_may_be_a_decorator(net: BlockingNetwork) -> None:
    assert [net.patched()(is_inside)() for _ in range(2)] == [True, True]


def test_other_threads_are_not_inside(net: BlockingNetwork) -> None:
    with ThreadPoolExecutor(1) as earlier:
        entered, left = threading.Event(), threading.Event()

        def meanwhile() -> bool:
            entered.wait(20)
            try:
                return is_inside()
            finally:
                left.set()

        found = earlier.submit(meanwhile)
        with net.patched():
            entered.set()
            assert left.wait(20)
        assert not found.result()


def in_thread(work: Callable[[], bool]) -> bool:
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join(20)
    return found[0]


def test_a_thread_that_is_started_in_the_block_is_inside_for_its_life(
    net: BlockingNetwork,
) -> None:
    left = threading.Event()
    found = []

    def work() -> None:
        assert left.wait(20)
        found.append(is_inside())

    thread = threading.Thread(target=work)
    with net.patched():
        assert in_thread(is_inside)
        thread.start()
    left.set()
    thread.join(20)
    assert found == [True]
    gc.collect()
    assert "connect" not in vars(socket.socket)  # all is restored, now that nothing is inside
    with net.patched(threads=False):
        assert not in_thread(is_inside)


def test_work_for_a_pool_is_inside_if_it_was_submitted_there(net: BlockingNetwork) -> None:
    with ThreadPoolExecutor(1) as pool:
        with net.patched():
            assert pool.submit(is_inside).result()
            assert list(pool.map(is_inside, [SECOND[0], "192.0.2.1"])) == [True, False]
        assert not pool.submit(is_inside).result()  # by the same thread
        with net.patched(threads=False):
            assert not pool.submit(is_inside).result()


def test_a_task_that_enters_the_block_is_alone_inside(net: BlockingNetwork) -> None:
    async def enter(inside: asyncio.Event, end: asyncio.Event) -> bool:
        with net.patched():
            inside.set()
            await end.wait()
            return is_inside()

    async def run() -> tuple[bool, bool]:
        inside, end = asyncio.Event(), asyncio.Event()
        entering = asyncio.create_task(enter(inside, end))
        await inside.wait()
        here = is_inside()
        end.set()
        return await entering, here

    assert asyncio.run(run()) == (True, False)


def test_what_the_network_itself_does_is_outside(net: BlockingNetwork) -> None:
    """Its loop looks up names of the system and endpoints, and must not wait for itself."""

    async def work() -> bool:
        return is_inside()

    with net.patched():
        assert not net.run(work())


def test_names_are_looked_up_inside(net: BlockingNetwork) -> None:
    with net.patched():
        assert socket.getaddrinfo("nas", "https", type=socket.SOCK_STREAM) == [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (FIRST[0], 443)),
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (FIRST[1], 443, 0, 0)),
        ]
        (entry,) = socket.getaddrinfo(
            "nas", 80, socket.AF_INET6, socket.SOCK_DGRAM, 0, socket.AI_CANONNAME
        )
        assert entry[3:] == ("nas", (FIRST[1], 80, 0, 0))
        assert socket.gethostbyname("nas.home") == FIRST[0]
        assert socket.gethostbyname_ex("nas.home") == ("nas.home", [], [FIRST[0]])
        assert socket.gethostbyaddr("nas.home") == ("nas.home", [], list(FIRST))
        assert socket.gethostbyname(socket.gethostname()) == SECOND[0]
        assert socket.gethostbyname("localhost") == "127.0.0.1"
        assert socket.getfqdn(FIRST[0]) == FIRST[0]
        assert socket.getnameinfo((FIRST[0], 80), socket.NI_NUMERICSERV) == (FIRST[0], "80")
        for look_up in (socket.gethostbyname, socket.gethostbyaddr):
            with pytest.raises(socket.gaierror, match="not known"):
                look_up("nobody.home")
        with pytest.raises(socket.gaierror):
            socket.getnameinfo((FIRST[0], 80), socket.NI_NAMEREQD)
        with pytest.raises(socket.gaierror):
            socket.getaddrinfo("nas.home", 80, 0, 0, 0, socket.AI_NUMERICHOST)


def test_sockets_of_other_families_are_left_alone(net: BlockingNetwork) -> None:
    with net.patched():
        for made in (*socket.socketpair(), socket.socket(socket.AF_UNIX)):
            with made:
                assert made.family == socket.AF_UNIX
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as made:
            made.bind((0, 0))


def test_datagrams_of_an_unconnected_socket(net: BlockingNetwork) -> None:
    with net.patched(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(20)
        query = b"\1\1\1\0\0\1\0\0\0\0\0\0\3nas\4home\0\0\1\0\1"
        sock.sendto(query, ("nas.home", 53))
        answer, address = sock.recvfrom(512)
        assert (answer[-4:], address) == (socket.inet_aton(FIRST[0]), (FIRST[0], 53))
        sock.sendmsg([query], [], 0, ("nas.home", 53))
        assert sock.recv(512)


def test_a_type_may_carry_flags_and_a_default_timeout_counts(net: BlockingNetwork) -> None:
    with net.patched():
        flags = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        with socket.socket(socket.AF_INET, flags) as sock:
            assert (sock.type, sock.gettimeout()) == (socket.SOCK_STREAM, 0)
        socket.setdefaulttimeout(22)
        try:
            with socket.socket() as sock:
                assert sock.gettimeout() == 22
        finally:
            socket.setdefaulttimeout(None)


def test_tls_may_be_wrapped_around_a_socket_before_it_connects(
    both: BlockingPair, tmp_path: Path
) -> None:
    path = certificate(tmp_path, "nas.home")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(path)
    asking = ssl.create_default_context(cafile=str(path))
    with both.first.listen(443) as listener, ThreadPoolExecutor(1) as pool:

        def serve() -> None:
            connection, _ = listener.accept(timeout=20)
            with serving.wrap_socket(connection, server_side=True) as safe:
                safe.sendall(safe.recv(100))

        served = pool.submit(serve)
        with (
            both.second.patched(),
            asking.wrap_socket(socket.socket(), server_hostname="nas.home") as safe,
        ):
            assert isinstance(safe, socket.socket)
            safe.connect(("nas.home", 443))
            assert echoes(safe)
        served.result(20)


def test_tls_may_be_wrapped_around_a_listening_socket(both: BlockingPair, tmp_path: Path) -> None:
    path = certificate(tmp_path, "laptop.home")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(path)
    asking = ssl.create_default_context(cafile=str(path))

    def serve() -> None:
        connection, address = listening.accept()
        with connection:
            assert address[0] == FIRST[0]
            connection.sendall(connection.recv(100))

    with ThreadPoolExecutor(1) as pool, both.second.patched():
        plain = socket.create_server((SECOND[0], 443))
        with serving.wrap_socket(plain, server_side=True) as listening:
            served = pool.submit(serve)
            connected = both.first.connect(SECOND[0], 443, timeout=20)
            assert echoes(asking.wrap_socket(connected, server_hostname="laptop.home"))
            served.result(20)


class Page(http.server.BaseHTTPRequestHandler):
    """Answers with the address of the client."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.client_address[0].encode())

    def log_message(self, *_: object) -> None:
        pass


def test_a_server_of_socketserver_is_inside(both: BlockingPair) -> None:
    """It accepts by a selector; the client is in the other network of the pair."""
    with both.second.patched():
        server = http.server.ThreadingHTTPServer((SECOND[0], 0), Page)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
    try:
        with both.first.patched():
            url = f"http://{SECOND[0]}:{server.server_port}/"
            with urllib.request.urlopen(url, timeout=20) as answer:
                assert answer.read().decode() == FIRST[0]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(20)


def test_a_selector_waits_for_a_connection(net: BlockingNetwork) -> None:
    with net.patched(), socket.socket() as sock, selectors.DefaultSelector() as selector:
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            sock.connect((FIRST[0], ECHO))
        selector.register(sock, selectors.EVENT_WRITE)
        assert selector.select(20)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        assert echoes(sock)


def test_asyncio_is_inside_too(net: BlockingNetwork) -> None:
    async def run() -> bytes:
        reader, writer = await asyncio.open_connection("nas.home", ECHO)
        writer.write(b"hello")
        answer = await reader.readexactly(5)
        writer.close()
        await writer.wait_closed()
        return answer

    with net.patched():
        assert asyncio.run(run()) == b"hello"


class Subclass(socket.socket):
    """With an argument of its own, as libraries have it."""

    def __init__(self, port: int) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_STREAM)
        self.port = port

    def reach(self) -> None:
        self.connect(("nas.home", self.port))


def test_a_subclass_is_inside_too(net: BlockingNetwork) -> None:
    with net.patched():
        made = Subclass(port=ECHO)
        assert isinstance(made, earlier_socket)
        assert isinstance(made, Subclass)
        made.reach()
        assert isinstance(made, Subclass)
        assert echoes(made)


def test_nothing_falls_back_to_the_outside_when_the_network_has_ended() -> None:
    with blocking_pair("kernel") as both, both.second.patched():
        both.second.close()
        for attempt in (
            socket.socket,
            lambda: socket.create_connection(("127.0.0.1", 1)),
            lambda: socket.getaddrinfo("nas.home", 80),
        ):
            with pytest.raises(OSError, match="the network is closed"):
                attempt()

"""Networks in plain scripts: blocking sockets, the standard library's clients and servers."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import http.server
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import holloway
from holloway import Endpoint
from holloway.net.blocking import BlockingNetwork
from net.certificate import certificate
from net.pair import FIRST, SECOND, echo, network, new_key, peer
from net.pair import pair as two_networks

if TYPE_CHECKING:
    from collections.abc import Iterator


CONFIG = """[Interface]
PrivateKey = {key}
Address = 10.7.0.1/24
PostUp = echo never run >&2
"""


@pytest.fixture
def pair(stack: str) -> Iterator[tuple[BlockingNetwork, BlockingNetwork]]:
    keys = new_key(), new_key()
    with BlockingNetwork(network(1, keys[0], peer(keys[1], *SECOND), stack=stack)) as first:
        there = Endpoint("127.0.0.1", first.device.listen_port)
        other = peer(keys[0], *FIRST, endpoint=there)
        with BlockingNetwork(network(2, keys[1], other, stack=stack)) as second:
            yield first, second


@contextlib.contextmanager
def in_thread(function: object, *arguments: object) -> Iterator[None]:
    assert callable(function)
    thread = threading.Thread(target=function, args=arguments)
    thread.start()
    try:
        yield
    finally:
        thread.join(30)
        assert not thread.is_alive()


def test_blocking_sockets_exchange_data(pair: tuple[BlockingNetwork, BlockingNetwork]) -> None:
    first, second = pair

    def serve() -> None:
        with listener:
            connection, address = listener.accept(timeout=20)
            with connection:
                assert address[0] == SECOND[0]
                connection.sendall(connection.recv(100).upper())

    listener = first.listen(5000)
    with in_thread(serve), second.connect(FIRST[0], 5000, timeout=20) as sock:
        assert sock.gettimeout() == 20
        sock.sendall(b"hello")
        assert sock.recv(100) == b"HELLO"
    assert second.ping(FIRST[1]) > 0
    assert second.resolve(FIRST[0]) == [FIRST[0]]
    assert second.device.peers[0].latest_handshake > 0
    assert second.addresses == SECOND


def test_errors_are_raised_in_the_calling_thread(
    pair: tuple[BlockingNetwork, BlockingNetwork],
) -> None:
    _, second = pair
    with pytest.raises(ConnectionRefusedError):
        second.connect(FIRST[0], 9)
    with pytest.raises(OSError, match="Required key not available"):
        second.create_connection(("10.9.0.1", 80))
    second.close()
    second.close()
    with pytest.raises(OSError, match="the network is closed"):
        second.ping(FIRST[0])
    with pytest.raises(OSError, match="the network is closed"):
        second.connect(FIRST[0], 9)


def test_a_wait_without_an_answer_ends_with_its_timeout(
    pair: tuple[BlockingNetwork, BlockingNetwork],
) -> None:
    first, _ = pair
    with first.listen(5000) as listener, pytest.raises(TimeoutError):
        listener.accept(timeout=0.05)


class Page(http.server.BaseHTTPRequestHandler):
    """Answers with the address of the client."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = f"{self.path} for {self.client_address[0]}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def http_server(network: BlockingNetwork, context: ssl.SSLContext | None) -> Iterator[None]:
    """Serve the first connection to port 80 with the standard library's handler."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            connection, address = listener.accept()
            if context is not None:
                connection = context.wrap_socket(connection, server_side=True)
            with connection:
                Page(connection, address, None)  # type: ignore[arg-type]

    with network.listen(80) as listener, in_thread(serve):
        yield


def test_a_bare_socket_learns_that_no_peer_has_an_address(
    pair: tuple[BlockingNetwork, BlockingNetwork],
) -> None:
    _, second = pair
    with second.socket() as sock:
        sock.settimeout(20)
        with pytest.raises(OSError, match="No route to host"):
            sock.connect(("10.9.0.1", 80))


def test_the_standard_librarys_http_server_takes_a_socket_of_the_network(stack: str) -> None:
    with holloway.open(CONFIG.format(key=new_key().base64), stack=stack) as opened:
        server = http.server.ThreadingHTTPServer((FIRST[0], 80), Page, bind_and_activate=False)
        server.socket.close()
        server.socket = opened.socket()
        server.server_bind()
        server.server_activate()
        with in_thread(server.serve_forever):
            connection = http.client.HTTPConnection(FIRST[0])
            connection.sock = opened.connect(FIRST[0], 80, timeout=20)
            connection.request("GET", "/own")
            with connection.getresponse() as answer:
                assert answer.read().decode() == f"/own for {FIRST[0]}"
            connection.close()
            server.shutdown()
        server.server_close()


def test_the_standard_librarys_http_works_as_it_is(
    pair: tuple[BlockingNetwork, BlockingNetwork],
) -> None:
    first, second = pair
    with http_server(first, None):
        connection = http.client.HTTPConnection(FIRST[0])
        connection.sock = second.connect(FIRST[0], 80, timeout=20)
        for path in ("/one", "/two"):
            connection.request("GET", path)
            with connection.getresponse() as answer:
                assert answer.read().decode() == f"{path} for {SECOND[0]}"
        connection.close()


def test_the_standard_librarys_tls_works_as_it_is(
    pair: tuple[BlockingNetwork, BlockingNetwork], tmp_path: Path
) -> None:
    first, second = pair
    path = certificate(tmp_path, "page.home")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(path)
    asking = ssl.create_default_context(cafile=str(path))
    with http_server(first, serving):
        connection = http.client.HTTPSConnection("page.home", context=asking)
        plain = second.connect(FIRST[0], 80, timeout=20)
        connection.sock = asking.wrap_socket(plain, server_hostname="page.home")
        connection.request("GET", "/secret")
        with connection.getresponse() as answer:
            assert answer.read().decode() == f"/secret for {SECOND[0]}"
        connection.close()


def test_asyncio_streams_take_tls(stack: str, tmp_path: Path) -> None:
    path = certificate(tmp_path, "page.home")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(path)
    asking = ssl.create_default_context(cafile=str(path))

    async def run() -> None:
        async with two_networks(stack) as both:
            await both.first.start_server(echo, port=443, ssl=serving)
            reader, writer = await both.second.open_connection(
                FIRST[1], 443, ssl=asking, server_hostname="page.home"
            )
            writer.write(b"secret")
            assert await reader.readexactly(6) == b"secret"
            writer.close()
            with pytest.raises(ssl.SSLCertVerificationError):
                await both.second.open_connection(FIRST[1], 443, ssl=asking)

    asyncio.run(run())


SCRIPT = """
import holloway, sys
with holloway.open(sys.stdin.read()) as net:
    print(net.stack, net.addresses, net.notes)
other = holloway.open(sys.argv[1], stack="kernel")
with other.socket() as sock:
    print(other.name, sock.family)
"""


def test_open_takes_a_file_or_its_text_and_the_script_may_just_end(tmp_path: Path) -> None:
    text = CONFIG.format(key=new_key().base64)
    path = tmp_path / "laptop.conf"
    path.write_text(text)
    done = subprocess.run([sys.executable, "-W", "error", "-c", SCRIPT, str(path)], input=text,
                          capture_output=True, text=True, check=True, timeout=30)  # fmt: skip
    note = "PostUp is not run: a program's network has no hooks"
    assert done.stdout.splitlines() == [
        f"kernel ('10.7.0.1',) (\"{note}\",)",
        "laptop 2",
    ]
    assert done.stderr == f"{note}\n" * 2


LOADED = """
import holloway, sys
with holloway.open(sys.stdin.read(), stack=sys.argv[1]) as net:
    with net.listen(7) as listener, net.connect("10.7.0.1", 7) as sock:
        print(*sys.modules)
"""


def test_opening_and_connecting_loads_only_what_they_need(stack: str) -> None:
    text = CONFIG.format(key=new_key().base64)
    done = subprocess.run([sys.executable, "-c", LOADED, stack], input=text, timeout=30,
                          capture_output=True, text=True, check=True)  # fmt: skip
    # Each takes milliseconds, most of all the first.
    late = {
        "cryptography", "hashlib", "holloway.control.resolve", "holloway.net.dns",
        "holloway.net.server", "holloway.netlink.listen_port", "holloway.netlink.rtnetlink",
        "holloway.text.discards", "pathlib",
    }  # fmt: skip
    assert not late & {*done.stdout.split()}


def test_importing_holloway_loads_no_event_loop() -> None:
    script = "import holloway, sys; print('asyncio' in sys.modules, holloway.Key.__name__)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False Key\n"
    assert holloway.open.__module__ == "holloway.net.blocking"

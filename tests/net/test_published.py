"""Servers of other libraries behind a port in the tunnel: WSGI, ASGI, HTTP and gRPC."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import http.client
import http.server
import os
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import grpc
import hypercorn.asyncio
import hypercorn.config
import pytest
import uvicorn

from holloway import Key, Network
from holloway.proxy.forwarded import Forwarded
from holloway.proxy.published import Published
from holloway.testing import CLIENT, SERVER, pair
from hosts import eventually
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from holloway.net.blocking import BlockingNetwork
    from holloway.testing import Pair

APPLICATION = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Connection", "close")])
    return [environ["REMOTE_ADDR"].encode()]
"""


def get(net: BlockingNetwork, host: str, port: int) -> str:
    connection = http.client.HTTPConnection(host)
    with contextlib.closing(connection):
        connection.sock = net.connect(host, port, timeout=20)
        connection.request("GET", "/")
        with connection.getresponse() as answer:
            assert answer.status == 200
            return answer.read().decode()


async def get_page(net: Network, host: str, port: int) -> str:
    reader, writer = await net.open_connection(host, port, timeout=20)
    writer.write(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
    page = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return page.rpartition(b"\r\n\r\n")[2].decode()


@contextlib.contextmanager
def gunicorn(folder: Path, version: str) -> Iterator[Path]:
    """Run it on a Unix socket; give the socket's path."""
    (folder / "page.py").write_text(APPLICATION)
    path = folder / "page.sock"
    command = [sys.executable, "-m", "gunicorn", "--bind", f"unix:{path}", "--log-level", "error",
               "--no-control-socket", "--proxy-protocol", version, "page:application"]  # fmt: skip
    with subprocess.Popen(command, cwd=folder) as running:
        try:
            assert eventually(lambda: path.is_socket() and _listens(path))
            yield path
        finally:
            running.terminate()
            running.wait(30)


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as trial:
        return trial.connect_ex(os.fspath(path)) == 0


@pytest.mark.parametrize("version", [1, 2])
def test_gunicorn_gets_the_callers_address_by_the_proxy_protocol(
    wg_pair: Pair[BlockingNetwork], version: Any, tmp_path: Path
) -> None:
    first, second = wg_pair
    with (
        gunicorn(tmp_path, f"v{version}") as path,
        Published(first, 8000, path, proxy_protocol=version) as (host, port),
    ):
        assert (host, port) == (SERVER[0], 8000)
        assert get(second, SERVER[0], port) == CLIENT[0]
        assert get(second, SERVER[1], port) == CLIENT[1]


class Page(http.server.BaseHTTPRequestHandler):
    """Answers with the address of the client."""

    def do_GET(self) -> None:
        body = self.client_address[0].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_a_port_is_published_as_long_as_its_block_runs(
    wg_pair: Pair[BlockingNetwork],
) -> None:
    first, second = wg_pair
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            target = server.server_address[1]
            for given in (target, f"127.0.0.1:{target}", ("localhost", target)):
                with Published(first, 0, given, host=SERVER[1]) as (host, port):
                    assert get(second, host, port) == "127.0.0.1"
                with pytest.raises(ConnectionRefusedError):
                    second.connect(host, port, timeout=20)
        finally:
            server.shutdown()
            thread.join()
    with Published(first, 8000, target), second.connect(SERVER[0], 8000, timeout=20) as refused:
        assert refused.recv(1) == b""  # nothing listens behind it any more


def test_grpc_is_called_through_both_sides(
    wg_pair: Pair[BlockingNetwork],
) -> None:
    class Upper(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, call: Any) -> Any:
            del call
            return grpc.unary_unary_rpc_method_handler(lambda request, _: request.upper())

    first, second = wg_pair
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool, handlers=[Upper()])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with (
            Published(first, 50051, port),
            Forwarded(second, SERVER[0], 50051) as (host, near),
            grpc.insecure_channel(f"{host}:{near}") as channel,
        ):
            assert channel.unary_unary("/greeter/Upper")(b"hello", timeout=20) == b"HELLO"
        server.stop(None).wait(20)


async def application(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI application that answers with the address of the client."""
    assert scope["type"] == "http"
    await receive()
    body = str((scope["client"] or ["none"])[0]).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def uvicorn_server(**options: Any) -> uvicorn.Server:
    config = uvicorn.Config(application, lifespan="off", log_level="error", **options)
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    return server


def test_uvicorn_takes_a_socket_of_the_network(stack: str) -> None:
    async def run() -> None:
        async with pair(stack) as both:
            sock = both.server.socket()
            sock.bind((SERVER[0], 8000))
            server = uvicorn_server()
            serving = asyncio.create_task(server.serve(sockets=[sock]))
            assert await wait_until(lambda: server.started)
            assert await get_page(both.client, SERVER[0], 8000) == CLIENT[0]
            server.should_exit = True
            await asyncio.wait_for(serving, 20)
            sock.close()

    asyncio.run(run())


def test_uvicorn_is_reached_on_a_unix_socket(stack: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with pair(stack) as both:
            path = tmp_path / "page.sock"
            server = uvicorn_server(uds=str(path))
            serving = asyncio.create_task(server.serve())
            assert await wait_until(lambda: server.started)
            async with Published(both.server, 8000, path):
                assert await get_page(both.client, SERVER[0], 8000) == "none"
            server.should_exit = True
            await asyncio.wait_for(serving, 20)

    asyncio.run(run())


def test_hypercorn_is_reached_on_a_unix_socket(stack: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with pair(stack) as both:
            path = tmp_path / "page.sock"
            config = hypercorn.config.Config()
            config.bind = [f"unix:{path}"]
            stop = asyncio.Event()
            serving = asyncio.create_task(
                hypercorn.asyncio.serve(application, config, shutdown_trigger=stop.wait)
            )
            assert await wait_until(path.is_socket)
            async with Published(both.server, 8000, path):
                assert await get_page(both.client, SERVER[0], 8000)
            stop.set()
            await asyncio.wait_for(serving, 20)

    asyncio.run(run())


def test_what_is_asked_for_wrongly_is_refused() -> None:
    opened = Network(private_key=Key.generate(), addresses="10.7.0.1/24")
    version: Any = 3
    with pytest.raises(ValueError, match="no version 3 of the PROXY protocol"):
        Published(opened, 80, 8000, proxy_protocol=version)
    with pytest.raises(TypeError, match="use `async with`"), Published(opened, 80, 8000):
        pass

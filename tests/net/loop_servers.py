"""Servers at home for libraries of asyncio and trio: nginx, and echoes by WebSocket, gRPC and QUIC.

`serve_loop_libraries` starts them in the home of a lab; this file is also the program of the
echoes, which are Python's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpclib.const
import grpclib.server
import websockets.asyncio.server
from aioquic.asyncio.server import serve as serve_quic
from aioquic.quic.configuration import QuicConfiguration
from google.protobuf.wrappers_pb2 import StringValue

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection

    from net.home_lab import HomeLab

HOST = "10.10.10.5"
WEBSOCKET, GRPC, QUIC = 8765, 50051, 4433
METHOD = "/home.Echo/Say"
DIRECTORY = "/run/user"
NGINX = f"""
daemon off; pid /run/nginx.pid; error_log stderr crit; user root;
events {{}}
http {{
    access_log off;
    client_body_temp_path /run/nginx; proxy_temp_path /run/nginx; fastcgi_temp_path /run/nginx;
    uwsgi_temp_path /run/nginx; scgi_temp_path /run/nginx;
    server {{
        listen {HOST}:8080; listen [fd10::5]:8080; listen {HOST}:8443 ssl;
        ssl_certificate {DIRECTORY}/certificate.pem;
        ssl_certificate_key {DIRECTORY}/certificate.pem;
        location / {{ return 200 "$uri by nginx\\n"; }}
    }}
}}
"""


def serve_loop_libraries(lab: HomeLab) -> None:
    """Start the servers and wait until they listen."""
    from net.library_servers import WAIT  # as a program, this file knows no other of the tests

    lab.server.write("/run/nginx.conf", NGINX)
    lab.start("nginx", "-c", "/run/nginx.conf")
    lab.server.run(sys.executable, "-c", WAIT, HOST, "8080", "8443")
    echoes = lab.start(sys.executable, __file__, DIRECTORY)
    assert echoes.stdout is not None
    assert echoes.stdout.readline() == "ready\n"


async def websocket_echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


class Echo:
    """The service of gRPC, as grpclib has it."""

    async def say(self, stream: Any) -> None:
        await stream.send_message(await stream.recv_message())

    def __mapping__(self) -> dict[str, grpclib.const.Handler]:
        kind = grpclib.const.Cardinality.UNARY_UNARY
        return {METHOD: grpclib.const.Handler(self.say, kind, StringValue, StringValue)}


def quic_echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    async def answer() -> None:
        with contextlib.suppress(ConnectionError):
            writer.write(await reader.read())
            writer.write_eof()

    tasks.add(asyncio.ensure_future(answer()))


tasks: set[asyncio.Task[None]] = set()


async def main(directory: Path) -> None:
    configuration = QuicConfiguration(is_client=False, alpn_protocols=["echo"])
    configuration.load_cert_chain(directory / "certificate.pem", directory / "certificate.pem")
    await serve_quic(HOST, QUIC, configuration=configuration, stream_handler=quic_echo)
    await websockets.asyncio.server.serve(websocket_echo, HOST, WEBSOCKET)
    server = grpclib.server.Server([Echo()])
    await server.start(HOST, GRPC)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))

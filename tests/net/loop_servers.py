"""Servers at home that are Python's own: WebSocket, gRPC and QUIC, each an echo.

Run inside a host, with the directory of its certificate.
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

HOST = "10.10.10.5"
WEBSOCKET, GRPC, QUIC = 8765, 50051, 4433
METHOD = "/home.Echo/Say"


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

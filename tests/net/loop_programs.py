"""Programs with libraries as their manuals show them: `python loop_programs.py NAME STACK`.

None of them knows of the tunnel. Those for asyncio run in the event loop of `holloway.run`, those
for trio within `through`. Each ends without an error if what came back is what was sent.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from typing import TYPE_CHECKING, Any

import holloway

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

NAS = "nas.home"
OWN = "10.10.10.2"


def context() -> ssl.SSLContext:
    return ssl.create_default_context(cafile="home-ca.pem")


async def redis() -> None:
    from redis.asyncio import Redis

    async with Redis(host=NAS, decode_responses=True) as client:
        await client.set("name", "value")
        assert await client.get("name") == "value"
        async with client.pubsub() as pubsub:
            await pubsub.subscribe("news")
            await client.publish("news", "hello")
            while (message := await pubsub.get_message(timeout=20)) is None or (
                message["type"] != "message"
            ):
                pass
            assert message["data"] == "hello"


async def websockets() -> None:
    from websockets.asyncio.client import connect

    async with connect(f"ws://{NAS}:8765") as connection:
        await connection.send("hello")
        assert await connection.recv() == "hello"


async def websockets_server() -> None:
    from websockets.asyncio.client import connect
    from websockets.asyncio.server import serve

    async def handler(connection: Any) -> None:
        await connection.send(f"hello {connection.remote_address[0]}")

    async with serve(handler, OWN, 8765), connect(f"ws://{OWN}:8765") as connection:
        assert await connection.recv() == f"hello {OWN}"


async def asyncpg() -> None:
    from asyncpg import connect

    connection = await connect(host="db.home", user="laptop", database="postgres")
    rows = await connection.fetch("select n from generate_series(1, 1000) as n")
    assert [row["n"] for row in rows] == list(range(1, 1001))
    await connection.close()


async def sqlalchemy() -> None:
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine("postgresql+asyncpg://laptop@db.home/postgres")
    async with engine.connect() as connection:
        result = await connection.execute(text("select host(inet_client_addr())"))
        assert result.scalar_one() == OWN
    await engine.dispose()


async def grpclib() -> None:
    from google.protobuf.wrappers_pb2 import StringValue
    from grpclib.client import Channel, UnaryUnaryMethod

    async with Channel(NAS, 50051) as channel:
        method = UnaryUnaryMethod(channel, "/home.Echo/Say", StringValue, StringValue)
        assert (await method(StringValue(value="hello"))).value == "hello"


async def aiohttp() -> None:
    from aiohttp import ClientSession

    async with ClientSession() as session:
        for host in ("nas.home:8080", "[fd10::5]:8080"):
            async with session.get(f"http://{host}/plain") as answer:
                assert await answer.text() == "/plain by nginx\n"
        async with session.get("https://nas.home:8443/tls", ssl=context()) as answer:
            assert await answer.text() == "/tls by nginx\n"


async def aiohttp_server() -> None:
    from aiohttp import ClientSession, web

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=f"hello {request.remote}")

    application = web.Application()
    application.add_routes([web.get("/", page)])
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, port=8080).start()
    async with ClientSession() as session, session.get(f"http://{OWN}:8080/") as answer:
        assert await answer.text() == f"hello {OWN}"
    await runner.cleanup()


async def uvicorn_server() -> None:
    from aiohttp import ClientSession
    from uvicorn import Config, Server

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["client"][0].encode()})

    server = Server(Config(application, host=OWN, port=8000, lifespan="off", log_level="error"))
    serving = asyncio.ensure_future(server.serve())
    while not server.started:  # noqa: ASYNC110  # it has no event
        await asyncio.sleep(0.01)
    async with ClientSession() as session, session.get(f"http://{OWN}:8000/") as answer:
        assert await answer.text() == OWN
    server.should_exit = True
    await serving


async def httpx() -> None:
    from httpx import AsyncClient

    async with AsyncClient(verify=context()) as client:
        assert (await client.get("http://nas.home:8080/plain")).text == "/plain by nginx\n"
        assert (await client.get("https://nas.home:8443/tls")).text == "/tls by nginx\n"


async def aioquic() -> None:
    from aioquic.asyncio.client import connect
    from aioquic.quic.configuration import QuicConfiguration

    configuration = QuicConfiguration(alpn_protocols=["echo"], cafile="home-ca.pem")
    async with connect(NAS, 4433, configuration=configuration) as client:
        reader, writer = await client.create_stream()
        writer.write(b"hello" * 10_000)
        writer.write_eof()
        assert await reader.read() == b"hello" * 10_000


async def asyncssh() -> None:
    from asyncssh import connect

    async with connect(
        NAS, username="laptop", known_hosts="known_hosts", client_keys=["id_ed25519"], config=None
    ) as connection:
        done = await connection.run("uptime", check=True)
        assert done.stdout == "nas: uptime\n"


async def anyio() -> None:
    from anyio import connect_tcp, create_connected_udp_socket

    async with await connect_tcp(NAS, 443, tls=True, ssl_context=context()) as stream:
        await stream.send(b"GET /anyio HTTP/1.0\r\n\r\n")
        assert b"200 OK" in await stream.receive()
    async with await create_connected_udp_socket(NAS, 7) as udp:
        await udp.send(b"hello")
        assert await udp.receive() == b"hello"


async def trio() -> None:
    from trio import open_ssl_over_tcp_stream, open_tcp_stream

    async with await open_tcp_stream(NAS, 7) as stream:
        await stream.send_all(b"hello")
        assert await stream.receive_some() == b"hello"
    async with await open_ssl_over_tcp_stream(NAS, 443, ssl_context=context()) as secure:
        await secure.send_all(b"GET /trio HTTP/1.0\r\n\r\n")
        assert b"200 OK" in await secure.receive_some()


# By their names in docs/reference/libraries.md.
ASYNCIO: dict[str, Callable[[], Awaitable[None]]] = {
    "redis.asyncio": redis,
    "asyncpg": asyncpg,
    "SQLAlchemy with asyncpg": sqlalchemy,
    "websockets": websockets,
    "websockets, a server": websockets_server,
    "grpclib": grpclib,
    "aiohttp": aiohttp,
    "aiohttp, a server": aiohttp_server,
    "uvicorn, a server": uvicorn_server,
    "httpx": httpx,
    "aioquic": aioquic,
    "asyncssh": asyncssh,
    "anyio": anyio,
}
TRIO = {"trio": trio, "httpx under trio": httpx, "anyio under trio": anyio}


def run_in_trio(program: Callable[[], Awaitable[None]], stack: str) -> None:
    from trio import run

    from holloway.net.adapters.trio import through

    async def main(network: holloway.BlockingNetwork) -> None:
        with through(network):
            await program()

    with holloway.open("laptop.conf", stack=stack) as network:
        run(main, network)


async def limited(program: Callable[[], Awaitable[None]]) -> None:
    await asyncio.wait_for(program(), 40)


if __name__ == "__main__":
    name, stack = sys.argv[1:]
    if name in TRIO:
        run_in_trio(TRIO[name], stack)
    else:
        holloway.run(limited(ASYNCIO[name]), "laptop.conf", stack=stack)

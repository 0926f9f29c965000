"""A program that just ends resets its connections, in silence and with its own exit status."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from net.pair import FIRST, network, new_key, peer

if TYPE_CHECKING:
    from holloway import Key

TESTS = str(Path(__file__).parent.parent)

QUIET = """
import logging
logging.getLogger("asyncio").setLevel(logging.ERROR)  # "Executing ... took 0.141 seconds"
"""
BLOCKING = """
import atexit, holloway, sys
atexit.register(lambda: sock.close())  # what it says of its own end is the program's
net = holloway.open(sys.stdin.read(), stack=sys.argv[1])
sock = net.connect("10.7.0.1", 5000, timeout=20)
sock.sendall(b"here")
sock.recv(1)
"""
ASYNCIO = """
import asyncio, atexit, holloway, sys
atexit.register(lambda: sock.close())
async def main():
    global net, sock
    net = await holloway.Network.from_config(sys.stdin.read(), stack=sys.argv[1]).open()
    sock = await net.connect("10.7.0.1", 5000, timeout=20)
    sock.send(b"here")
    await asyncio.get_running_loop().sock_recv(sock, 1)
"""
WORKER = """
import multiprocessing, holloway, sys
def main(text):
    global net, sock
    net = holloway.open(text, stack=sys.argv[1])
    sock = net.connect("10.7.0.1", 5000, timeout=20)
    sock.sendall(b"here")
    sock.recv(1)
worker = multiprocessing.get_context("fork").Process(target=main, args=(sys.stdin.read(),))
worker.start()
worker.join()
sys.exit(worker.exitcode)
"""
THREAD = """
import holloway, sys, threading
def main():
    with holloway.open(sys.stdin.read(), stack=sys.argv[1]) as net:
        sock = net.connect("10.7.0.1", 5000, timeout=20)
        sock.sendall(b"here")
        sock.recv(1)
        threading.main_thread().join()
    sock.close()
threading.Thread(target=main).start()
"""

# The socket's own warning is the program's.
CLOSE = "\nimport atexit; atexit.register(sock.close)"
BLOCK = """
import threading, time
async def block():
    time.sleep(60)
threading.Thread(target=lambda: net.run(block()), daemon=True).start()
"""

PROGRAMS = {
    "the end": (BLOCKING, 0, ""),
    "an exception": (BLOCKING + "\n1 / 0", 1, "ZeroDivisionError: division by zero"),
    "sys.exit": (BLOCKING + "\nsys.exit(3)", 3, ""),
    "a blocked loop": (BLOCKING + BLOCK, 0, ""),
    "asyncio": (ASYNCIO + "asyncio.run(main())", 0, ""),
    "a worker of multiprocessing": (WORKER, 0, ""),
    "a thread that outlives the main one": (THREAD, 0, ""),
}  # fmt: skip


class Far(asyncio.Protocol):
    """Answers, and notes how the connection ends."""

    def __init__(self) -> None:
        self.ended: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data[:1])

    def connection_lost(self, error: Exception | None) -> None:
        self.ended.set_result(error)


def config(key: Key, server: Key, port: int) -> str:
    return (
        f"[Interface]\nPrivateKey = {key.base64}\nAddress = 10.7.0.2/24\n"
        f"[Peer]\nPublicKey = {server.public().base64}\nAllowedIPs = 10.7.0.1/32\n"
        f"Endpoint = 127.0.0.1:{port}\n"
    )


@pytest.mark.parametrize("ending", PROGRAMS)
def test_the_end_of_a_program_resets_its_connections(stack: str, ending: str) -> None:
    script, status, last_line = PROGRAMS[ending]

    async def run() -> None:
        key, server_key = new_key(), new_key()
        far: asyncio.Queue[Far] = asyncio.Queue()

        def made() -> Far:
            far.put_nowait(each := Far())
            return each

        async with network(1, server_key, peer(key, "10.7.0.2/32"), stack="kernel") as server:
            await server.create_server(made, FIRST[0], 5000)
            program = await asyncio.create_subprocess_exec(
                sys.executable, "-X", "dev", "-W", "error", "-c", QUIET + script, stack,
                stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            text = config(key, server_key, server.device.listen_port)
            _, errors = await asyncio.wait_for(program.communicate(text.encode()), 60)
            assert errors.decode().splitlines()[-1:] == ([last_line] if last_line else [])
            assert program.returncode == status
            connection = far.get_nowait()
            ended = await asyncio.wait_for(connection.ended, 20)
            assert isinstance(ended, ConnectionResetError), ended

    asyncio.run(run())

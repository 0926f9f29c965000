"""Standard input and output as the ends of one connection: ssh's ProxyCommand.

Plain reads and writes in two threads: whoever gave us these descriptors shares their flags, so
they may not be made non-blocking, and a file or a terminal is no socket for the relay.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading

CHUNK = 256 * 1024


async def join(sock: socket.socket, source: int = 0, sink: int = 1) -> None:
    """Copy both ways until the other end has said all; raises the OSError that ended it.

    The end of `source` is passed on, and the answer waited for.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    sock.setblocking(True)

    def end(failure: OSError | None) -> None:
        if not ended.done():
            ended.set_result(None) if failure is None else ended.set_exception(failure)

    def receive() -> None:
        failure = None
        try:
            _receive(sock, sink)
        except OSError as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # nobody waits any more
            loop.call_soon_threadsafe(end, failure)

    for work in (lambda: _send(source, sock), receive):
        threading.Thread(target=work, daemon=True).start()
    try:
        await ended
    finally:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)  # which ends both threads' calls
        sock.close()


def _send(source: int, sock: socket.socket) -> None:
    # What goes wrong with the connection, the other way tells.
    with contextlib.suppress(OSError):
        while data := os.read(source, CHUNK):
            sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)


def _receive(sock: socket.socket, sink: int) -> None:
    buffer = memoryview(bytearray(CHUNK))
    while size := sock.recv_into(buffer):
        left = buffer[:size]
        while left:
            left = left[os.write(sink, left) :]

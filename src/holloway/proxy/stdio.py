"""Joins standard input and output with a connection, for ssh's ProxyCommand.

Two threads read and write. The descriptors must stay blocking, because other processes share their
flags, and they may be files or terminals, which the relay cannot copy.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading

CHUNK = 256 * 1024


async def join(sock: socket.socket, source: int = 0, sink: int = 1) -> None:
    """Copy both ways until the other end has sent all; raises the OSError that ended it.

    The end of `source` is passed on, and the rest of the answer is still copied.
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
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(end, failure)

    for work in (lambda: _send(source, sock), receive):
        threading.Thread(target=work, daemon=True).start()
    try:
        await ended
    finally:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)  # ends the calls of both threads
        sock.close()


def _send(source: int, sock: socket.socket) -> None:
    # `_receive` reports the errors of the connection.
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

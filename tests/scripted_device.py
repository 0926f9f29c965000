"""A UAPI device that gives scripted answers and records the requests."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path


class ScriptedDevice:
    """Listens on a socket at a path inside its `with` block."""

    def __init__(self, path: Path | str, answer: str = "errno=0\n\n") -> None:
        self.path = str(path)
        self.answer = answer
        self.set_answer = "errno=0\n\n"
        self.requests: list[str] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._listener.bind(self.path)
        self._listener.listen(16)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(ConnectionError):
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        request = b""
        while not request.endswith(b"\n\n"):
            piece = connection.recv(1 << 16)
            if not piece:
                return  # `wg` first connects to check whether a device listens
            request += piece
        self.requests.append(request.decode())
        answer = self.answer if request.startswith(b"get=1") else self.set_answer
        connection.sendall(answer.encode("utf-8", "surrogateescape"))

"""A client of UAPI sockets: our own devices, wireguard-go's, boringtun's.

Knows the socket and the two sign conventions of `errno=`; the text is `text.uapi`'s.
"""

from __future__ import annotations

import errno
import itertools
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from holloway.model import Device, DeviceUpdate
from holloway.text.uapi import UapiError, dump_set, parse_get

DIRECTORY: Final = "/var/run/wireguard"
SUFFIX: Final = ".sock"


def names() -> list[str]:
    """The devices whose sockets answer, in the directory's order, as wg(8) lists them."""
    try:
        entries = os.listdir(DIRECTORY)
    except FileNotFoundError:
        return []
    found = [name.removesuffix(SUFFIX) for name in entries if name.endswith(SUFFIX)]
    return [name for name in found if name and answers(name)]


def answers(name: str) -> bool:
    """Whether there is a socket for `name`; one that nobody listens to any more is removed."""
    if "/" in name:
        return False
    path = _path(name)
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return False
        _connect(path).close()
    except ConnectionRefusedError:
        _remove(path)
        return False
    except (OSError, ValueError):
        return False
    return True


class Socket:
    """One device behind its UAPI socket; each call is a connection of its own."""

    def __init__(self, name: str) -> None:
        self.name = name

    def get(self) -> Device:
        """Ask the device; raises `OSError`."""
        answer = self._transact("get=1\n\n")
        # In an answer to get, the number is positive (ipc-uapi.h of wireguard-tools).
        status = _status(answer)
        if status < 0:
            raise _protocol_error()
        _raise(status)
        try:
            return parse_get(answer, self.name)
        except UapiError as error:
            raise OSError(error.errno, os.strerror(error.errno)) from error

    def set(self, update: DeviceUpdate) -> None:
        """Change the device; raises `OSError`."""
        # In an answer to set, the number is negative, as the kernel returns it.
        _raise(-_status(self._transact(dump_set(update))))

    def log_level(self, wanted: str = "") -> str:
        """Return how much the device says, after changing it if a level is given.

        Raises `OSError`: EPROTO, EINVAL or EIO where the device knows no such request.
        """
        return _level(self._transact(f"log={wanted}\n\n"))

    def follow_log(self) -> Iterator[str]:
        """Yield the device's level, then the last lines of its log and those to come."""
        with _connect(_path(self.name)) as connection:
            connection.sendall(b"log=follow\n\n")
            with connection.makefile(encoding="utf-8", errors="replace", newline="\n") as lines:
                yield _level("".join(itertools.takewhile(lambda line: line != "\n", lines)))
                for line in lines:
                    yield line.removesuffix("\n")

    def _transact(self, request: str) -> str:
        """Send one request; return its answer up to the blank line that ends it."""
        with _connect(_path(self.name)) as connection:
            # A device may refuse before it has read all, and say why.
            with suppress(BrokenPipeError):
                connection.sendall(request.encode())
            return _receive(connection)


def _receive(connection: socket.socket) -> str:
    pieces: list[bytes] = []
    tail = b"\n"  # so that an answer that begins with a blank line is at its end
    while b"\n\n" not in tail:
        piece = connection.recv(_PIECE)
        if not piece:
            raise _protocol_error()
        pieces.append(piece)
        tail = tail[-1:] + piece
    answer, _, _ = ("\n" + b"".join(pieces).decode("ascii", "surrogateescape")).partition("\n\n")
    return answer[1:] + "\n"


def _level(answer: str) -> str:
    _raise(abs(_status(answer)))
    for line in answer.splitlines():
        if line.startswith("level="):
            return line.removeprefix("level=")
    raise _protocol_error()


def _status(answer: str) -> int:
    """The last `errno=` of an answer; one without is no answer."""
    _, found, rest = f"\n{answer}".rpartition("\nerrno=")
    status = rest.partition("\n")[0]
    digits = status.removeprefix("-")
    if not found or not (digits.isascii() and digits.isdigit()) or len(digits) > _DIGITS:
        raise _protocol_error()
    if int(digits) > _MAX_ERRNO:
        raise _protocol_error()
    return int(status)


def _raise(number: int) -> None:
    if number != 0:
        raise OSError(number, os.strerror(number))


def _protocol_error() -> OSError:
    return OSError(errno.EPROTO, os.strerror(errno.EPROTO))


def _connect(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(path)
    except BaseException:
        connection.close()
        raise
    return connection


def _remove(path: str) -> None:
    with suppress(OSError):  # not ours to remove, or gone already: it does not answer anyhow
        os.unlink(path)


def _path(name: str) -> str:
    return f"{DIRECTORY}/{name}{SUFFIX}"


_PIECE: Final = 1 << 18
_DIGITS: Final = 10
_MAX_ERRNO: Final = 0x7FFFFFFF

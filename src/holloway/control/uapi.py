"""A client of UAPI sockets: our own devices, wireguard-go's, boringtun's.

Knows the socket and the two sign conventions of `errno=`; the text is `text.uapi`'s.
"""

from __future__ import annotations

import _socket
import errno
import os
import stat

TYPE_CHECKING = False  # without `typing`, which takes 6 ms to load
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Final, TypeVar

    from holloway.model import Device, DeviceUpdate
    from holloway.text.discards import Discards
    from holloway.text.native import State, Update

    Read = TypeVar("Read")

DIRECTORY: Final = "/var/run/wireguard"
SUFFIX: Final = ".sock"


def names() -> list[str]:
    """List the devices whose sockets answer, in the directory's order, as wg(8) does."""
    try:
        entries = os.listdir(DIRECTORY)
    except FileNotFoundError:
        return []
    found = [name.removesuffix(SUFFIX) for name in entries if name.endswith(SUFFIX)]
    return [name for name in found if name and answers(name)]


def answers(name: str) -> bool:
    """Whether the socket of `name` answers; a socket without a listener is removed."""
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


class UapiDevice:
    """One device behind its UAPI socket; each call is a connection of its own."""

    def __init__(self, name: str) -> None:
        self.name = name

    def get(self) -> Device:
        """Return the device as it is; raises `OSError`."""
        from holloway.text.convert import device_of

        return device_of(self.state(), self.name)

    def set(self, update: DeviceUpdate) -> None:
        """Change the device; raises `OSError`."""
        from holloway.text.convert import update_of

        self.apply(update_of(update))

    def state(self) -> State:
        """Like `get`, as the codec's value."""
        from holloway.text.native import read_answer

        return self._get_answer(read_answer)

    def dump(self) -> bytes:
        """Like `get`, printed as `wg show INTERFACE dump` does."""
        from holloway.text.native import dump_answer

        return self._get_answer(dump_answer)

    def _get_answer(self, read: Callable[[bytes], Read]) -> Read:
        from holloway.text.native import UapiError

        answer = self._transact(b"get=1\n\n")
        # In an answer to get, the number is positive (ipc-uapi.h of wireguard-tools).
        status = _status(answer)
        if status < 0:
            raise _protocol_error()
        _raise(status)
        try:
            return read(answer)
        except UapiError as error:
            raise OSError(error.errno, os.strerror(error.errno)) from error

    def apply(self, update: Update) -> None:
        """Change the device; raises `OSError`."""
        # In an answer to set, the number is negative, as the kernel returns it.
        _raise(-_status(self._transact(update.request())))

    def discards(self) -> Discards:
        """Ask what the device did not pass on.

        Raises `OSError`: EPROTO, EINVAL or EIO where the device knows no such request.
        """
        from holloway.text.discards import parse_answer

        answer = self._transact(b"discards=1\n\n")
        _raise(abs(_status(answer)))
        return parse_answer(answer)

    def log_level(self, wanted: str = "") -> str:
        """Return the level of the device's log, after changing it if one is given.

        Raises `OSError`: EPROTO, EINVAL or EIO where the device has no such request.
        """
        return _level(self._transact(f"log={wanted}\n\n".encode()))

    def follow_log(self) -> Iterator[str]:
        """Yield the level of the device's log, then its last lines and each new one."""
        connection = _connect(_path(self.name))
        try:
            connection.sendall(b"log=follow\n\n")
            received = b""
            while b"\n\n" not in received:
                received += _receive_chunk(connection)
            answer, _, rest = received.partition(b"\n\n")
            yield _level(answer + b"\n")
            while True:
                *lines, rest = rest.split(b"\n")
                for line in lines:
                    yield line.decode(errors="replace")
                chunk = connection.recv(_CHUNK_SIZE)
                if not chunk:
                    break
                rest += chunk
            if rest:
                yield rest.decode(errors="replace")
        finally:
            connection.close()

    def _transact(self, request: bytes) -> bytes:
        """Send one request; return its answer."""
        connection = _connect(_path(self.name))
        try:
            # A device may refuse before it has read the whole request, and answer why.
            try:  # noqa: SIM105  # contextlib takes a millisecond to load
                connection.sendall(request)
            except BrokenPipeError:
                pass
            return _receive(connection)
        finally:
            connection.close()


def _receive(connection: _socket.socket) -> bytes:
    """Receive an answer, without what follows its blank line; that may be included."""
    from holloway.text.native import blank_line

    chunks: list[bytes] = []
    length, last = 0, b"\n"  # so that an answer that begins with a blank line is at its end
    while True:
        chunk = _receive_chunk(connection)
        end = 0 if last == chunk[:1] == b"\n" else blank_line(chunk)
        chunks.append(chunk)
        if end is not None:
            break
        length, last = length + len(chunk), chunk[-1:]
    answer = b"".join(chunks)
    return answer if length + end + 1 == len(answer) else answer[: length + end]


def _receive_chunk(connection: _socket.socket) -> bytes:
    chunk = connection.recv(_CHUNK_SIZE)
    if not chunk:
        raise _protocol_error()
    return chunk


def _level(answer: bytes) -> str:
    _raise(abs(_status(answer)))
    for line in answer.splitlines():
        if line.startswith(b"level="):
            return line.removeprefix(b"level=").decode(errors="replace")
    raise _protocol_error()


def _status(answer: bytes) -> int:
    """Return the last `errno=` of an answer, without which it is none; raises `OSError`."""
    at = answer.rfind(b"\nerrno=") + 1
    line = answer[at:].partition(b"\n")[0]
    if not line.startswith(b"errno="):
        raise _protocol_error()
    status = line.removeprefix(b"errno=")
    digits = status.removeprefix(b"-")
    if not digits.isdigit() or len(digits) > _DIGITS:
        raise _protocol_error()
    if int(digits) > _MAX_ERRNO:
        raise _protocol_error()
    return int(status)


def _raise(number: int) -> None:
    if number != 0:
        raise OSError(number, os.strerror(number))


def _protocol_error() -> OSError:
    return OSError(errno.EPROTO, os.strerror(errno.EPROTO))


def _connect(path: str) -> _socket.socket:
    # Not `socket`, which takes 5 ms to load for the names of its numbers.
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.connect(path)
    except BaseException:
        connection.close()
        raise
    return connection


def _remove(path: str) -> None:
    try:  # noqa: SIM105
        os.unlink(path)
    except OSError:
        pass  # not ours to remove, or gone already: it does not answer in any case


def _path(name: str) -> str:
    return f"{DIRECTORY}/{name}{SUFFIX}"


_CHUNK_SIZE: Final = 1 << 18
_DIGITS: Final = 10
_MAX_ERRNO: Final = 0x7FFFFFFF

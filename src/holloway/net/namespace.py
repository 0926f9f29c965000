"""A private network namespace: a helper process that made it, and makes sockets in it.

The helper is `holloway-namespace` (crates/namespace); it ends when this process ends. Knows neither
tunnels nor, once it is started, event loops. `kernel` uses it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
import subprocess
import threading
from array import array
from typing import TYPE_CHECKING, Final

from holloway.device.gso import gso_max_size
from holloway.net.errors import FIND_PROGRAM, NoNamespace, network_down

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holloway.net.stack import Interface

    Kind = tuple[int, int, int]


class SocketPool:
    """Sockets of one kind that are made in advance: as many as were asked for so far.

    So a program that opens few sockets has few unused ones. One that opens many asks for the next
    ones while it has some, so that it seldom waits for the helper.
    """

    def __init__(self) -> None:
        self.requested = 0
        self.descriptors: list[int] = []

    @property
    def needs_more(self) -> bool:
        """Whether it is time to ask for the next ones: most will be used."""
        return self.requested >= MANY and len(self.descriptors) == MAX_BATCH // 2


class Namespace:
    """A network namespace of our own, for as long as this is open. Any thread may use it."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self._number = 0
        self._pools: dict[Kind, SocketPool] = {}
        self._ahead: SocketPool | None = None  # the next response brings its sockets
        try:
            self._process = _launch(theirs)
        except BaseException:
            self._control.close()
            raise
        finally:
            theirs.close()
        self._pidfd = os.pidfd_open(self._process.pid)
        self._control.settimeout(RESPONSE_SECONDS)

    def fileno(self) -> int:
        """Return a descriptor that is readable once the helper process has ended."""
        return self._pidfd

    @property
    def is_owner(self) -> bool:
        """Whether this is the process that opened it, and not its fork."""
        return os.getpid() == self._owner

    @property
    def pid(self) -> int:
        """The id of the helper process."""
        return self._process.pid

    async def start(self, name: str, addresses: Sequence[Interface], mtu: int) -> int:
        """Make namespace and interface, and return the TUN's descriptor, which the caller owns.

        Raises `NoNamespace`.
        """
        lines = ["start", f"name {name}", f"mtu {mtu}", f"gso {gso_max_size(mtu)}"]
        lines += [f"address {address}" for address in addresses]
        self._send_request("\n".join(lines))
        # The kernel makes one namespace at a time, which may take long on a busy machine.
        await _readable(self._control.fileno())
        (tun,) = self._receive_response()
        return tun

    @property
    def pooled(self) -> int:
        """The number of sockets that are made in advance."""
        return sum(len(pool.descriptors) for pool in self._pools.values())

    def socket(self, family: int, kind: int, protocol: int) -> socket.socket:
        """Make a socket in the namespace; raises OSError.

        A request to the helper takes 20 to 130 us, so a program that opens many connections gets
        its sockets from a `SocketPool`.
        """
        with self._lock:
            try:
                descriptor = self._take((int(family), int(kind), int(protocol)))
            except (ConnectionError, NoNamespace) as error:
                if isinstance(error, NoNamespace) and error.step != HELPER_ENDED:
                    raise OSError(error.errno, os.strerror(error.errno or 0)) from None
                raise network_down(self.exit_reason()) from None
        return socket.socket(family, kind, protocol, fileno=descriptor)

    def exit_reason(self) -> str:
        """Return in words how the helper process ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1)
        status = self._process.returncode
        if status is None:
            return "the helper process does not answer"
        if status < 0:
            return f"the helper process was ended by {signal.Signals(-status).name}"
        return f"the helper process ended with status {status}"

    def close(self) -> None:
        """End the helper process. Open sockets keep the namespace alive."""
        if self._pidfd < 0:
            return
        self._control.close()
        os.close(self._pidfd)
        self._pidfd = -1
        with self._lock:
            for pool in self._pools.values():
                while pool.descriptors:
                    os.close(pool.descriptors.pop())
        if self.is_owner:
            self._process.kill()
            self._process.wait()

    def _take(self, kind: Kind) -> int:
        pool = self._pools.setdefault(kind, SocketPool())
        is_pooled = kind[1:] in POOLED_KINDS
        if not pool.descriptors:
            if self._ahead is not pool:
                self._receive_ahead()
                number = min(pool.requested + 1, MAX_BATCH) if is_pooled else 1
                self._send_request(f"sockets {kind[0]} {kind[1]} {kind[2]} {number}")
            self._ahead = None
            pool.descriptors = self._receive_response()
        pool.requested += 1
        descriptor = pool.descriptors.pop()
        if self._ahead is None and is_pooled and pool.needs_more:
            with contextlib.suppress(OSError):  # the next request reports it
                self._send_request(f"sockets {kind[0]} {kind[1]} {kind[2]} {MAX_BATCH}")
                self._ahead = pool
        return descriptor

    def _receive_ahead(self) -> None:
        """Receive what was requested ahead, before another request."""
        if self._ahead is not None:
            pool, self._ahead = self._ahead, None
            pool.descriptors += self._receive_response()

    def _send_request(self, request: str) -> None:
        self._number += 1
        self._control.send(f"{self._number} {request}".encode())

    def _receive_response(self) -> list[int]:
        """Receive the response to the last request; drops those to cancelled ones."""
        while True:
            # Not `socket.recv_fds`, which drops its flags in Python 3.11.
            message, ancillary, _, _ = self._control.recvmsg(
                RESPONSE_SIZE, DESCRIPTOR_SPACE, socket.MSG_CMSG_CLOEXEC
            )
            descriptors = array("i")
            for _, _, data in ancillary:
                descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
            if not message:
                raise NoNamespace(errno.EPIPE, HELPER_ENDED)
            number, word, *failure = message.decode().split(" ", 3)
            if int(number) != self._number:
                for descriptor in descriptors:
                    os.close(descriptor)
                continue
            if word == "ok" and not descriptors:  # recvmsg(2) drops them if no number is free
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            if word == "ok":
                return list(descriptors)
            raise NoNamespace(int(failure[0]), failure[1])


def _launch(control: socket.socket) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [PROGRAM, str(control.fileno())],
            pass_fds=[control.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            cwd="/", env={},
        )  # fmt: skip
    except FileNotFoundError:
        raise NoNamespace(errno.ENOENT, FIND_PROGRAM) from None
    except OSError as error:
        raise NoNamespace(error.errno or errno.EIO, "start the helper program") from None


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    readable = loop.create_future()

    def wake() -> None:
        if not readable.done():
            readable.set_result(None)

    loop.add_reader(descriptor, wake)
    try:
        await readable
    finally:
        loop.remove_reader(descriptor)


# Not pathlib, which takes 2 ms to load.
PROGRAM: Final = os.path.join(os.path.dirname(__file__), "holloway-namespace")
HELPER_ENDED: Final = "the helper process ended"
RESPONSE_SECONDS: Final = 10
RESPONSE_SIZE: Final = 256
POOLED_KINDS: Final = {(socket.SOCK_STREAM, 0), (socket.SOCK_DGRAM, 0)}
MAX_BATCH: Final = 16  # as many as the helper makes at once (crates/namespace, request.rs)
MANY: Final = 4 * MAX_BATCH
DESCRIPTOR_SPACE: Final = socket.CMSG_LEN(4 * MAX_BATCH)

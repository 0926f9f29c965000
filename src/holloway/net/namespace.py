"""The private network namespace: a helper process that made it and makes sockets in it.

Speaks to `holloway-namespace` (crates/namespace), which ends with this process however this ends.
It knows neither tunnels nor event loops beyond the wait for its start; `kernel` uses it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from holloway.link import gso_max_size
from holloway.net.errors import FIND_PROGRAM, NoNamespace, ended

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holloway.net.stack import Interface


class Namespace:
    """A network namespace of our own, for as long as this is open. Any thread may use it."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self._number = 0
        try:
            self._process = _launch(theirs)
        except BaseException:
            self._control.close()
            raise
        finally:
            theirs.close()
        self._watch = os.pidfd_open(self._process.pid)
        self._control.settimeout(ANSWER_SECONDS)

    def fileno(self) -> int:
        """Readable once the helper process has ended."""
        return self._watch

    @property
    def ours(self) -> bool:
        """Whether this is the process that opened it, and not a fork of that."""
        return os.getpid() == self._owner

    @property
    def pid(self) -> int:
        """The helper process."""
        return self._process.pid

    async def start(self, name: str, addresses: Sequence[Interface], mtu: int) -> int:
        """Make namespace and interface, and return the TUN's descriptor, now the caller's.

        Raises `NoNamespace`.
        """
        lines = ["start", f"name {name}", f"mtu {mtu}", f"gso {gso_max_size(mtu)}"]
        lines += [f"address {address}" for address in addresses]
        self._ask("\n".join(lines))
        # The kernel makes one namespace at a time: this may take a while on a busy machine.
        await _readable(self._control.fileno())
        return self._answer()

    def socket(self, family: int, kind: int, protocol: int) -> socket.socket:
        """Make one in the namespace, which takes 19 us; raises what the system does."""
        if not self.ours:
            raise OSError(errno.EPERM, "a network serves the process that opened it, not its forks")
        with self._lock:
            try:
                self._ask(f"socket {int(family)} {int(kind)} {int(protocol)}")
                descriptor = self._answer()
            except (ConnectionError, NoNamespace) as error:
                if isinstance(error, NoNamespace) and error.step != HELPER_ENDED:
                    raise OSError(error.errno, os.strerror(error.errno or 0)) from None
                raise ended(self.epitaph()) from None
        return socket.socket(family, kind, protocol, fileno=descriptor)

    def epitaph(self) -> str:
        """How the helper process ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1)
        status = self._process.returncode
        if status is None:
            return "the helper process does not answer"
        if status < 0:
            return f"the helper process was ended by {signal.Signals(-status).name}"
        return f"the helper process ended with status {status}"

    def close(self) -> None:
        """End the helper process. What sockets there are keep the namespace."""
        if self._watch < 0:
            return
        self._control.close()
        os.close(self._watch)
        self._watch = -1
        if self.ours:
            self._process.kill()
            self._process.wait()

    def _ask(self, request: str) -> None:
        self._number += 1
        self._control.send(f"{self._number} {request}".encode())

    def _answer(self) -> int:
        """Take the answer to the last request, and leave those that nobody waited for."""
        while True:
            # Not `socket.recv_fds`, which drops its flags in Python 3.11.
            message, ancillary, _, _ = self._control.recvmsg(
                ANSWER_SIZE, DESCRIPTOR_SPACE, socket.MSG_CMSG_CLOEXEC
            )
            descriptor = int.from_bytes(ancillary[0][2][:4], sys.byteorder) if ancillary else -1
            if not message:
                raise NoNamespace(errno.EPIPE, HELPER_ENDED)
            number, word, *failure = message.decode().split(" ", 3)
            if int(number) != self._number:
                if descriptor >= 0:
                    os.close(descriptor)
                continue
            if word == "ok" and descriptor < 0:  # recvmsg(2) drops what there is no room for
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            if word == "ok":
                return descriptor
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
    came = loop.create_future()

    def wake() -> None:
        if not came.done():
            came.set_result(None)

    loop.add_reader(descriptor, wake)
    try:
        await came
    finally:
        loop.remove_reader(descriptor)


PROGRAM: Final = Path(__file__).with_name("holloway-namespace")
HELPER_ENDED: Final = "the helper process ended"
ANSWER_SECONDS: Final = 10
ANSWER_SIZE: Final = 256
DESCRIPTOR_SPACE: Final = socket.CMSG_LEN(4)

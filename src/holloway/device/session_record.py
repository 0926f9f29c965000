"""The peers with a session and their endpoints, in a file that a restarted device reads.

A responder learns endpoints from packets alone, and a restart loses them with the sessions. The
file has public keys and endpoints and no secret. It is written after handshakes, replaced as a
whole, and removed when the interface is deleted. `daemon` uses it; `privileged` has the file.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from holloway import _native
from holloway.core.constants import REJECT_AFTER_TIME, Nanoseconds
from holloway.key import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from holloway.device.event_loop import EventLoop, TimerHandle
    from holloway.device.privileged import Privileged

log = logging.getLogger(__name__)

VARIABLE: Final = "HOLLOWAY_RECONNECT"
DELAY_SECONDS: Final = 0.05
"""Between a handshake and the writing: sessions come in bursts."""
PAUSE_SECONDS: Final = 1.0
"""The least time between two writings."""
PAUSE_FACTOR: Final = 200
"""After a writing, this many times its duration passes before the next one."""
MAX_BYTES: Final = 16 << 20
"""The most that is read: room for more peers than a device holds."""


class Session(NamedTuple):
    """A peer with a session: where it is, and when the session ends (CLOCK_BOOTTIME)."""

    public_key: bytes
    host: str
    port: int
    ends_at: Nanoseconds


def wanted() -> bool:
    """Whether the environment leaves it on that a device begins new sessions for lost ones."""
    return os.environ.get(VARIABLE) != "off"


def load(path: str, now: Nanoseconds) -> dict[bytes, _native.Endpoint]:
    """Read the peers whose sessions may still live; none if there is no file."""
    try:
        with open(path, "rb") as file:
            text = file.read(MAX_BYTES)
    except OSError:
        return {}
    return parse_untrusted(text, now)


def dump(sessions: Iterable[Session]) -> bytes:
    """Write a line for each session."""
    lines = (
        f"{Key(one.public_key).base64} {one.host} {one.port} {one.ends_at}\n" for one in sessions
    )
    return "".join(lines).encode()


def parse_untrusted(text: bytes, now: Nanoseconds) -> dict[bytes, _native.Endpoint]:
    """Read what `dump` wrote: a confined device did, and it may have been taken over.

    A line that is none is left out, and a session that is over or would live too long.
    """
    found: dict[bytes, _native.Endpoint] = {}
    for line in text.decode(errors="replace").splitlines():
        with suppress(ValueError):
            key, host, port, ends_at = line.split(" ")
            if now < int(ends_at) <= now + REJECT_AFTER_TIME:
                found[Key.from_base64(key).raw] = _native.Endpoint(host, _port(port))
    return found


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port < 1 << 16:
        raise ValueError("not a port")
    return port


class SessionRecord:
    """Writes the file from time to time. Create it inside the event loop."""

    def __init__(
        self,
        loop: EventLoop,
        privileged: Privileged,
        sessions: Callable[[], Iterable[Session]],
    ) -> None:
        self._loop = loop
        self._privileged = privileged
        self._sessions = sessions
        self._timer: TimerHandle | None = None
        self._next = 0.0

    def schedule(self) -> None:
        """Write soon: a session has begun."""
        if self._timer is None:
            at = max(self._loop.time() + DELAY_SECONDS, self._next)
            self._timer = self._loop.call_at(at, self._write_later)

    def write(self) -> None:
        """Write now. With no session, there is no file."""
        self._replace(dump(self._sessions()))

    def remove(self) -> None:
        """Remove the file: nobody restarts what was deleted."""
        self._replace(b"")

    def close(self) -> None:
        """Write no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _write_later(self) -> None:
        self._timer = None
        began = self._loop.time()
        self.write()
        ended = self._loop.time()
        self._next = ended + max(PAUSE_SECONDS, PAUSE_FACTOR * (ended - began))

    def _replace(self, text: bytes) -> None:
        """Replace the file as a whole; without it, a restart is only slower."""
        try:
            with os.fdopen(self._privileged.new_record(), "wb") as file:
                file.write(text)
            self._privileged.keep_record()
        except OSError as error:
            log.debug("The sessions are not recorded: %s", error.strerror)

"""Notices when a program inside a network first looks a name up: it opens its resolv.conf then.

This process makes the inotify instance. `holloway-namespace run` adds the file to it, which exists
in its mount namespace alone, before it becomes the program. Used by `holloway run`.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Final, Self

from holloway.net.program import SYSTEM


class FirstLookup:
    """An inotify instance; a context manager. Raises OSError where there is nothing to watch."""

    def __init__(self) -> None:
        # Where the system has no such file, the program gets none either.
        SYSTEM.stat()
        libc = ctypes.CDLL(None, use_errno=True)
        # sys/inotify.h: IN_NONBLOCK and IN_CLOEXEC are these flags of open(2).
        self._descriptor: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def fileno(self) -> int:
        """Readable after the first look-up."""
        return self._descriptor

    def has_happened(self) -> bool:
        """Whether the first look-up has happened since the last call."""
        try:
            events = os.read(self._descriptor, MAX_EVENTS * EVENT.size)
        except BlockingIOError:
            return False
        # The end of the mount namespace is an event too.
        return any(mask & IN_OPEN for _, mask, _, _ in EVENT.iter_unpack(events))


EVENT: Final = struct.Struct("@iIII")  # sys/inotify.h: struct inotify_event of a file, nameless
IN_OPEN: Final = 0x20
MAX_EVENTS: Final = 64

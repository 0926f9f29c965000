"""Gives back the memory that only the start of a process needed.

A start touches most of Python's and of the libraries' code, to load modules, and then never again.
The kernel would keep those pages mapped, and `mlockall` would keep them in memory for good. What is
needed again is read from the page cache, once. `monitor` and `daemon` call this before they confine
themselves, and `daemon` again once the device answers.
"""

from __future__ import annotations

import ctypes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

# linux/mman.h
MADV_DONTNEED: Final = 4
MADV_DONTNEED_LOCKED: Final = 24  # Linux 5.18; the other refuses memory that is locked


class Resident:
    """The memory of this process. Create it while /proc/self can be read."""

    def __init__(self) -> None:
        self._files = list(_unchanged_files())
        self._library = ctypes.CDLL(None)
        self._library.madvise.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int

    def release(self) -> None:
        """Unmap pages of files that can be read again, and return free heap to the system."""
        if hasattr(self._library, "malloc_trim"):  # not in musl
            self._library.malloc_trim(0)
        for start, end in self._files:
            for advice in (MADV_DONTNEED, MADV_DONTNEED_LOCKED):
                if self._library.madvise(start, end - start, advice) == 0:
                    break


def _unchanged_files() -> Iterator[tuple[int, int]]:
    """Yield the mappings of files that this process cannot write to and has no pages of its own of.

    A library has such pages where it was relocated; without them it would be broken.
    """
    try:
        with open("/proc/self/smaps") as smaps:
            start, end, is_file = 0, 0, False
            for line in smaps:
                words = line.split()
                if not words[0].endswith(":"):
                    start, end = (int(address, 16) for address in words[0].split("-"))
                    is_file = "w" not in words[1] and words[-1].startswith("/")
                elif is_file and words[0] == "Anonymous:" and words[1] == "0":
                    yield start, end
    except OSError:
        return  # without /proc everything stays as it is

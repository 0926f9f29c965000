"""Output of `wg`: results to stdout, everything else to stderr."""

from __future__ import annotations

import os
import sys

from holloway.errors import without_keys

TYPE_CHECKING = False  # without `typing`, which takes 6 ms to load
if TYPE_CHECKING:
    from typing import Final

NAME: Final = "wg"


def print_out(text: str) -> None:
    """Print a result, which contains its own line breaks."""
    sys.stdout.write(text)


def print_bytes(text: bytes) -> None:
    """Print a result that is already encoded."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text)


def print_err(sentence: str) -> None:
    """Print a message without buffering; what may be a key in it is hidden."""
    sys.stderr.write(f"{without_keys(sentence)}\n")
    sys.stderr.flush()


def fail(sentence: str) -> int:
    """Print why the command failed; returns the exit status for that."""
    print_err(sentence)
    return 1


def reason(error: OSError) -> str:
    """Return what an errno means, in the words of perror(3)."""
    return str(error) if error.errno is None else os.strerror(error.errno)

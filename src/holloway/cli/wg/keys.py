"""`wg genkey`, `wg genpsk` and `wg pubkey`, and the files that keys are read from."""

from __future__ import annotations

import os
import stat
import sys
from typing import IO, Final

from holloway.cli.wg.report import NAME, fail, print_err, print_out, reason
from holloway.errors import ConfigError, KeyFormatError
from holloway.key import BASE64_LENGTH, KEY_LENGTH, Key

SPACE: Final = b" \t\n\v\f\r"


def run(name: str, arguments: list[str]) -> int:
    """Run one of the three subcommands; returns the exit status."""
    if arguments:
        return fail(f"Usage: {NAME} {name}")
    if name == "pubkey":
        return _pubkey()
    _warn_of_readers()
    key = Key(os.urandom(KEY_LENGTH))
    print_out(f"{(key.clamped() if name == 'genkey' else key).base64}\n")
    return 0


def read_key_file(path: str) -> Key:
    """Read the key in a file, `Key.ZERO` if it is empty; raises `ConfigError`."""
    try:
        with open(path, "rb") as file:
            return _key_file(file)
    except IsADirectoryError:
        raise ConfigError(_BAD_LENGTH) from None
    except OSError as error:
        raise ConfigError(f"fopen: {reason(error)}") from None


def _key_file(file: IO[bytes]) -> Key:
    text = file.read(BASE64_LENGTH)
    if not text and file.seekable():
        return Key.ZERO  # /dev/null too; wg(8) accepts no empty pipe
    if len(text) != BASE64_LENGTH:
        raise ConfigError(_BAD_LENGTH)
    trailing = _after(file, SPACE)
    if trailing:
        shown = trailing.decode(errors="surrogateescape")
        raise ConfigError(f"Found trailing character in key file: `{shown}'")
    from holloway.text.values import parse_key

    return parse_key(text.partition(b"\0")[0].decode(errors="surrogateescape"))


def _after(file: IO[bytes], skipped: bytes) -> bytes:
    """Return the first byte that is not among those to skip; empty at the end of the file."""
    while piece := file.read(_PIECE):
        if rest := piece.lstrip(skipped):
            return rest[:1]
    return b""


def _pubkey() -> int:
    text = sys.stdin.buffer.read(BASE64_LENGTH)
    if len(text) == BASE64_LENGTH and _after(sys.stdin.buffer, SPACE + b"\0"):
        return fail(f"{NAME}: Trailing characters found after key")
    try:
        private = Key.from_base64(text.decode("ascii"))
    except (KeyFormatError, UnicodeDecodeError):
        return fail(f"{NAME}: Key is not the correct length or format")
    print_out(f"{private.public().base64}\n")
    return 0


def _warn_of_readers() -> None:
    try:
        mode = os.fstat(sys.stdout.fileno()).st_mode
    except OSError:
        return  # stdout is closed or is no file
    if stat.S_ISREG(mode) and mode & stat.S_IRWXO:
        print_err("Warning: writing to world accessible file.")
        print_err("Consider setting the umask to 077 and trying again.")


_BAD_LENGTH: Final = "Invalid length key in key file"
_PIECE: Final = 4096

"""`holloway qr`: a configuration as a QR code on the terminal, for a phone to read.

Prints the file as it is, as `qrencode` would; says what a phone would refuse.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from holloway.errors import HollowayError, without_keys
from holloway.quick import source

USAGE: Final = "Usage: holloway qr { CONFIG_FILE | INTERFACE | - }"
HELP: Final = f"""{USAGE}

Shows a configuration as a QR code, to be read by the WireGuard app of a phone ("create from QR
code"). The code holds the private key: anybody who sees it has it. `-` reads standard input.

Examples:
  sudo holloway qr phone              /etc/wireguard/phone.conf
  holloway qr ./phone.conf
"""

# What the apps' files may have in [Interface]; anything else they refuse as a whole.
FOR_PHONES: Final = {"privatekey", "listenport", "address", "dns", "mtu"}


def main(arguments: list[str]) -> int:
    """Run `holloway qr`; returns the exit status."""
    match arguments:
        case ["-h" | "--help" | "help"]:
            print(HELP, end="")
            return 0
        case [argument] if argument == "-" or not argument.startswith("-"):
            pass
        case _:
            print(USAGE, file=sys.stderr)
            return 1
    try:
        return _show(_read(argument))
    except (HollowayError, OSError) as error:
        print(f"holloway qr: {error}", file=sys.stderr)
        return 1


def _read(argument: str) -> str:
    if argument == "-":
        return sys.stdin.read()
    return Path(source.find(argument)).read_text(errors="surrogateescape")


def _show(text: str) -> int:
    keys = _interface_keys(text)
    if "privatekey" not in keys:
        hint = " A hook sets it, and phones run no hooks." if keys & _HOOKS else ""
        print(f"holloway qr: There is no PrivateKey in [Interface].{hint} Write the key into the"
              " file that the phone gets.", file=sys.stderr)  # fmt: skip
        return 1
    if unknown := sorted(keys - FOR_PHONES):
        print(f"Warning: phones refuse a file with these keys: {', '.join(unknown)}",
              file=sys.stderr)  # fmt: skip
    print(_draw(text))
    return 0


def _draw(text: str) -> str:
    """Draw a text, two rows of modules to a line; light is what is printed, on black."""
    import segno

    try:
        code = segno.make(
            text.encode(errors="surrogateescape"), error="l", micro=False, mode="byte"
        )
    except segno.DataOverflowError:
        raise HollowayError("The configuration is too long for a QR code") from None
    rows = [list(row) for row in code.matrix_iter(border=4)]
    dark = [1] * len(rows[0])
    pairs = zip(rows[::2], [*rows[1::2], dark], strict=True)
    lines = ("".join(_BLOCKS[pair] for pair in zip(*pair_of_rows, strict=True))
             for pair_of_rows in pairs)  # fmt: skip
    return "\n".join(f"\033[40;37;1m{line}\033[0m" for line in lines)


def _interface_keys(text: str) -> set[str]:
    """Name the keys of the [Interface] sections, in small letters."""
    keys = set()
    section = ""
    for line in text.splitlines():
        words = without_keys(line.partition("#")[0]).strip().lower()
        if words.startswith("["):
            section = words
        elif section == "[interface]" and "=" in words:
            keys.add(words.partition("=")[0].strip())
    return keys


_HOOKS: Final = {"preup", "postup"}
_BLOCKS: Final = {(0, 0): "█", (0, 1): "▀", (1, 0): "▄", (1, 1): " "}

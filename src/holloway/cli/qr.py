"""`holloway qr`: shows a configuration as a QR code on the terminal, for a phone to scan.

Encodes the file unchanged, as `qrencode` does, and warns of keys that phones refuse.
"""

from __future__ import annotations

import sys
from typing import Final

from holloway.cli import config_file
from holloway.cli.explain import explain
from holloway.errors import HollowayError, without_keys

USAGE: Final = "Usage: holloway qr { CONFIG | - }"
HELP: Final = f"""{USAGE}

Shows a configuration as a QR code, which the WireGuard app of a phone scans ("create from QR
code"). The code contains the private key: whoever sees the code has the key.

CONFIG is a wg-quick file, or a name: wg0 is /etc/wireguard/wg0.conf. `-` reads standard input.

Examples:
  sudo holloway qr phone              show /etc/wireguard/phone.conf
  holloway qr phone.conf              show a file of this directory
"""

# The keys that the apps accept in [Interface]. They refuse a file with any other.
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
        print(f"holloway qr: {explain(error)}", file=sys.stderr)
        return 1


def _read(argument: str) -> str:
    if argument == "-":
        return sys.stdin.read()
    return config_file.find(argument).read_text(encoding="utf-8", errors="surrogateescape")


def _show(text: str) -> int:
    keys = _interface_keys(text)
    if "privatekey" not in keys:
        hint = " A hook sets it, and phones run no hooks." if keys & _HOOKS else ""
        print(f"holloway qr: There is no PrivateKey in [Interface].{hint} Write the key into the"
              " phone's file.", file=sys.stderr)  # fmt: skip
        return 1
    if unknown := sorted(keys - FOR_PHONES):
        print(f"Warning: phones refuse a file with these keys: {', '.join(unknown)}",
              file=sys.stderr)  # fmt: skip
    print(_draw(text))
    return 0


def _draw(text: str) -> str:
    """Draw a text, two rows of modules in each line: light modules on black."""
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
    """Return the keys of the [Interface] sections, in lower case."""
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

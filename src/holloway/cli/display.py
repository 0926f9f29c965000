"""What `holloway demo` and `holloway lab` print: headings, commands and their output."""

from __future__ import annotations

import os
import sys
import textwrap
from typing import Final

WIDTH: Final = 96


def heading(number: int, name: str, text: str) -> None:
    """Print the name and the explanation of a step."""
    print(f"\n{bold(f'{number}  {name}')}")
    explain(text)
    print(flush=True)


def explain(text: str) -> None:
    """Print a text as a paragraph."""
    print(textwrap.fill(text, WIDTH, initial_indent="  ", subsequent_indent="  "))


def prompt(host: str, command: str) -> None:
    """Show a command as it is typed in a host."""
    print(f"  {bold(f'{host}$ {command}')}", flush=True)


def output(text: str) -> None:
    """Show what a command printed."""
    print(textwrap.indent(text, "    "), end="", flush=True)


def file(host: str, path: str, text: str) -> None:
    """Show a file that was written in a host, as a paragraph of its own."""
    print()
    listing(host, path, text)


def listing(host: str, path: str, text: str) -> None:
    """Show a file that was written in a host."""
    print(f"  {host}: {path}")
    print("".join(f"    | {line}\n" for line in text.splitlines()), end="")


def bold(text: str) -> str:
    """Return a text in bold, or as it is if the output is no terminal."""
    plain = not sys.stdout.isatty() or "NO_COLOR" in os.environ
    return text if plain else f"\033[1m{text}\033[0m"


def printable(data: bytes) -> str:
    """Return bytes as text, with a dot for each that is not printable."""
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data)

"""Reads the transcripts in `golden/`: commands, their output and their exit status."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"


@dataclass(frozen=True)
class Entry:
    """One command of a transcript."""

    command: str
    output: str
    status: int


def read(name: str, replacements: dict[str, str]) -> list[Entry]:
    """Read a transcript, with placeholders of keys replaced."""
    text = (GOLDEN / name).read_text().replace("^[", "\x1b")
    for placeholder, value in replacements.items():
        text = text.replace(placeholder, value)
    entries = []
    for chunk in text.removeprefix("$ ").split("\n$ "):
        command, _, rest = chunk.partition("\n")
        output, status, number = rest.rpartition("[rc=")
        # The transcript has no status for a command whose output went through a pipe.
        ended = int(number.strip().removesuffix("]")) if status else 0
        entries.append(Entry(command, output if status else rest, ended))
    return entries


def requests(replacements: dict[str, str]) -> list[str]:
    """Read the recorded requests, each with the blank line that ends it."""
    text = (GOLDEN / "wg-uapi.log").read_text()
    for placeholder, value in replacements.items():
        text = text.replace(placeholder, value)
    return [chunk.removeprefix(">>> ") for chunk in text.split("---\n") if chunk]

"""Reads the transcripts in `golden/`: commands, what they printed, how they ended."""

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
    """Read a transcript; placeholders of keys are filled in."""
    text = (GOLDEN / name).read_text().replace("^[", "\x1b")
    for placeholder, value in replacements.items():
        text = text.replace(placeholder, value)
    entries = []
    for chunk in text.removeprefix("$ ").split("\n$ "):
        command, _, rest = chunk.partition("\n")
        output, status, number = rest.rpartition("[rc=")
        # What went through a pipe has no status of its own.
        ended = int(number.strip().removesuffix("]")) if status else 0
        entries.append(Entry(command, output if status else rest, ended))
    return entries


def requests(replacements: dict[str, str]) -> list[str]:
    """Read the recorded requests, each with the blank line that ends it."""
    text = (GOLDEN / "wg-uapi.log").read_text()
    for placeholder, value in replacements.items():
        text = text.replace(placeholder, value)
    return [chunk.removeprefix(">>> ") for chunk in text.split("---\n") if chunk]

"""Carries the comments of a configuration file over to the text that replaces it.

A saved file is written from the running interface, which has no comments; people name their peers
in them. Comments stay with their section, and the peers keep their order. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final


@dataclass(slots=True)
class _Section:
    """A `[...]` header, its other lines, and the comments on both."""

    header: str
    above: list[str] = field(default_factory=list)  # right above the header
    inside: list[str] = field(default_factory=list)  # on lines of their own
    beside: list[tuple[str, str]] = field(default_factory=list)  # key, what follows its value
    settings: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name of the section in both texts: a peer's key, else the header."""
        for line in self.settings:
            key, _, value = line.partition("=")
            if _key(key) == "publickey":
                return value.strip()
        return self.header.strip().lower()


def carry_over(old: str, new: str) -> str:
    """Put the comments of `old` into `new`, and the peers of `new` in the order of `old`."""
    preamble, commented = _read(old)
    _, sections = _read(new)
    known = {section.name: section for section in reversed(commented)}
    places = {section.name: place for place, section in enumerate(commented)}
    sections.sort(key=lambda section: places.get(section.name, len(places)))
    texts = [_write(section, known.get(section.name)) for section in sections]
    return "\n".join([*(["".join(preamble)] if preamble else []), *texts])


def _read(text: str) -> tuple[list[str], list[_Section]]:
    """Split into the comments before the first section, and the sections."""
    preamble: list[str] = []
    sections: list[_Section] = []
    pending: list[str] = []  # comments that may turn out to be above a header
    for raw in text.split("\n"):
        line = raw.strip()
        if line.startswith("#"):
            pending.append(f"{line}\n")
            continue
        if line.startswith("["):
            header, sign, comment = line.partition("#")
            inside = [f"#{comment}\n"] if sign else []
            sections.append(_Section(header.rstrip(), above=pending, inside=inside))
        else:
            (sections[-1].inside if sections else preamble).extend(pending)
            if line and sections:
                _add(sections[-1], line)
        pending = []
    (sections[-1].inside if sections else preamble).extend(pending)
    return preamble, sections


def _add(section: _Section, line: str) -> None:
    setting, sign, comment = line.partition("#")
    key = _key(setting.partition("=")[0])
    if sign and key not in _HOOKS:
        section.beside.append((key, f"#{comment}"))
        line = setting.rstrip()
    section.settings.append(line)


def _write(section: _Section, commented: _Section | None) -> str:
    if commented is None:
        return "".join(f"{line}\n" for line in (section.header, *section.settings))
    beside = list(commented.beside)
    lines = [_with_comment(line, beside) for line in section.settings]
    # Comments beside a setting that is gone, or that was one of several that are one now.
    orphaned = [f"{comment}\n" for _, comment in beside]
    return "".join([*commented.above, f"{section.header}\n", *commented.inside, *lines, *orphaned])


def _with_comment(line: str, beside: list[tuple[str, str]]) -> str:
    """End a line with the first comment on its key, and remove that from `beside`."""
    key = _key(line.partition("=")[0])
    for place, (commented_key, comment) in enumerate(beside):
        if commented_key == key:
            del beside[place]
            return f"{line} {comment}\n"
    return f"{line}\n"


def _key(text: str) -> str:
    return text.strip().lower()


_HOOKS: Final = frozenset({"preup", "postup", "predown", "postdown"})  # a "#" is part of these

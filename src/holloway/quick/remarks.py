"""Carries the comments of a configuration file over to the text that replaces it.

A saved file is written from the running interface, which knows no comments; people name their
peers in them. Comments stay with their section, and the peers keep their order. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final


@dataclass(slots=True)
class _Section:
    """A `[...]` header, its other lines, and what the user remarked on both."""

    header: str
    above: list[str] = field(default_factory=list)  # right above the header
    inside: list[str] = field(default_factory=list)  # on lines of their own
    beside: list[tuple[str, str]] = field(default_factory=list)  # key, what follows its value
    settings: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What makes it the same section in both texts: a peer's key, else the header."""
        for line in self.settings:
            key, _, value = line.partition("=")
            if _key(key) == "publickey":
                return value.strip()
        return self.header.strip().lower()


def carry_over(old: str, new: str) -> str:
    """Put the comments of `old` into `new`, and the peers of `new` in the order of `old`."""
    foreword, remarked = _read(old)
    _, sections = _read(new)
    known = {section.name: section for section in reversed(remarked)}
    places = {section.name: place for place, section in enumerate(remarked)}
    sections.sort(key=lambda section: places.get(section.name, len(places)))
    texts = [_write(section, known.get(section.name)) for section in sections]
    return "\n".join([*(["".join(foreword)] if foreword else []), *texts])


def _read(text: str) -> tuple[list[str], list[_Section]]:
    """Split into the comments before the first section, and the sections."""
    foreword: list[str] = []
    sections: list[_Section] = []
    pending: list[str] = []  # comments that may turn out to stand above a header
    for raw in text.split("\n"):
        line = raw.strip()
        if line.startswith("#"):
            pending.append(f"{line}\n")
            continue
        if line.startswith("["):
            header, sign, remark = line.partition("#")
            inside = [f"#{remark}\n"] if sign else []
            sections.append(_Section(header.rstrip(), above=pending, inside=inside))
        else:
            (sections[-1].inside if sections else foreword).extend(pending)
            if line and sections:
                _add(sections[-1], line)
        pending = []
    (sections[-1].inside if sections else foreword).extend(pending)
    return foreword, sections


def _add(section: _Section, line: str) -> None:
    setting, sign, remark = line.partition("#")
    key = _key(setting.partition("=")[0])
    if sign and key not in _HOOKS:
        section.beside.append((key, f"#{remark}"))
        line = setting.rstrip()
    section.settings.append(line)


def _write(section: _Section, remarked: _Section | None) -> str:
    if remarked is None:
        return "".join(f"{line}\n" for line in (section.header, *section.settings))
    beside = list(remarked.beside)
    lines = [_with_remark(line, beside) for line in section.settings]
    # What stood beside a setting that is gone, or was one of several that are one now.
    homeless = [f"{remark}\n" for _, remark in beside]
    return "".join([*remarked.above, f"{section.header}\n", *remarked.inside, *lines, *homeless])


def _with_remark(line: str, beside: list[tuple[str, str]]) -> str:
    """End a line, with the first remark on its key, which is then taken."""
    key = _key(line.partition("=")[0])
    for place, (remarked, remark) in enumerate(beside):
        if remarked == key:
            del beside[place]
            return f"{line} {remark}\n"
    return f"{line}\n"


def _key(text: str) -> str:
    return text.strip().lower()


_HOOKS: Final = frozenset({"preup", "postup", "predown", "postdown"})  # a "#" is part of these

"""The pages of the documentation: their blocks of code and their links.

A scenario takes blocks from a `Page` by their first characters and runs them; `Page.left` has the
blocks that it did not take. A reader copies a block unchanged, so a scenario gets it unchanged too,
except for the placeholders that it names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

from hosts import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from markdown_it.token import Token

PAGES = sorted(
    path.relative_to(REPOSITORY).as_posix()
    for place in (REPOSITORY, REPOSITORY / "docs")
    for path in (place.glob("*.md") if place == REPOSITORY else place.rglob("*.md"))
)


@dataclass(frozen=True)
class Block:
    """A block of code of a page, fenced or indented."""

    page: str
    line: int
    text: str

    @property
    def first(self) -> str:
        """The first line, which identifies the block in `not_run`."""
        return self.text.strip().partition("\n")[0].rstrip()


class Page:
    """A page whose blocks are taken one by one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.left = blocks(name)

    def take(self, begins: str, **placeholders: str) -> str:
        """Return the first remaining block that begins so, with placeholders replaced."""
        for block in self.left:
            if block.text.startswith(begins):
                self.left.remove(block)
                return _filled(block.text, placeholders)
        raise AssertionError(f"{self.name} has no block left that begins with {begins!r}")


def _filled(text: str, placeholders: dict[str, str]) -> str:
    for name, value in placeholders.items():
        place = name.replace("_", "-")
        assert place in text, f"{place} is not in\n{text}"
        text = text.replace(place, value)
    return text


def blocks(name: str) -> list[Block]:
    """Return every block of code of a page, in order."""
    found = []
    for token in _tokens(name):
        if token.type in ("fence", "code_block"):
            assert token.map is not None
            found.append(Block(name, token.map[0] + 1, token.content))
    return found


def links(name: str) -> list[str]:
    """Return the targets of all links and pictures of a page."""
    found = []
    for token in _tokens(name):
        for part in token.children or ():
            target = part.attrs.get("href") or part.attrs.get("src")
            if target:
                found.append(str(target))
    return found


def anchors(name: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub derives them."""
    tokens = list(_tokens(name))
    found = set()
    for number, token in enumerate(tokens):
        if token.type == "heading_open":
            title = tokens[number + 1].content.replace("`", "").lower()
            found.add("".join(c for c in title if c.isalnum() or c in " -_").replace(" ", "-"))
    return found


def read(name: str) -> str:
    return path(name).read_text()


def path(name: str) -> Path:
    return REPOSITORY / name


def _tokens(name: str) -> Iterator[Token]:
    return iter(MarkdownIt().enable("table").parse(read(name)))

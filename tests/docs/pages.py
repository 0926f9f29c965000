"""The pages of the documentation: their blocks of code, their links, and who runs which block.

A scenario takes blocks from a `Page` by how they begin and runs them; `Page.left` are those that it
took not. Whoever reads a page copies a block as it is, so a scenario gets it as it is, but for the
placeholders that it names.
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
        """Its first line, by which the page's readers and our tables know it."""
        return self.text.strip().partition("\n")[0].rstrip()


class Page:
    """A page whose blocks are taken one by one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.left = blocks(name)

    def take(self, begins: str, **placeholders: str) -> str:
        """Return the first block left that begins so, with placeholders replaced."""
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
    """Find every block of code of a page, in order."""
    found = []
    for token in _tokens(name):
        if token.type in ("fence", "code_block"):
            assert token.map is not None
            found.append(Block(name, token.map[0] + 1, token.content))
    return found


def links(name: str) -> list[str]:
    """Find the targets of all links and pictures of a page."""
    found = []
    for token in _tokens(name):
        for part in token.children or ():
            target = part.attrs.get("href") or part.attrs.get("src")
            if target:
                found.append(str(target))
    return found


def anchors(name: str) -> set[str]:
    """Find what the headings of a page are called in links, as GitHub makes it."""
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

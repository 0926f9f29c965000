"""The recipes of a page: each block of code, and the block of text below it, its output."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hosts import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"^```(?:python|sh)\n", re.MULTILINE)
HEADING = re.compile(r"^## (.*)$", re.MULTILINE)
PAGE = REPOSITORY / "docs/how-to/python-recipes.md"
PAGES = (
    PAGE,
    *(
        REPOSITORY / "docs/how-to" / f"{name}.md"
        for name in ("patched", "fork", "web-servers", "published")
    ),
    REPOSITORY / "docs/tutorial/python-peer.md",
)
"""The pages that consist of recipes."""


@dataclass(frozen=True)
class Recipe:
    """A recipe: its heading, its code and its output."""

    heading: str
    language: str
    code: str
    prints: str

    def with_stack(self, stack: str) -> str:
        """Return the code, with every configuration opened on that stack."""
        return self.code.replace('"laptop.conf")', f'"laptop.conf", stack="{stack}")').replace(
            "Network(private_key=", f'Network(stack="{stack}", private_key='
        )


def recipes(page: Path = PAGE) -> list[Recipe]:
    """Return all recipes of a page; raises ValueError for code without output."""
    text = page.read_text()
    found = []
    for match in BLOCK.finditer(text):
        heading = HEADING.findall(text, 0, match.start())[-1]
        found.append(Recipe(heading, *match.groups()))
    if len(found) != len(CODE.findall(text)):
        raise ValueError(f"{page.name}: a block of code has no output below it")
    return found

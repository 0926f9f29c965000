"""A sequence diagram from text, with one step per line, from top to bottom.

    title: The title of the diagram
    plane: the plane; in Rust        a column, and the lines of its head
    tun -> plane: a packet           an arrow between two columns, and its label
    plane: looks it up               a step within one column
    ---: No session yet              a line across, and the title of the part below

It is written as SVG without a library, because it has only lines and text. The colours follow the
reader's light or dark scheme.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from chart import style

if TYPE_CHECKING:
    from collections.abc import Iterator

MARGIN, TOP, ROW, LINE = 24, 64, 30, 15
LETTER = 6.8  # the average width of a letter in a step's label
BESIDE = 26  # the width of the loop of a step within one column
ARROW = re.compile(r"(\w+) -> (\w+): (.*)")
FORM = """
.step { font-size: 12.5px; }
.rail { stroke-dasharray: 3 4; }
.arrow { stroke-width: 1.4; fill: none; }
"""


@dataclass(frozen=True)
class Step:
    """One line: an arrow; both ends have the same column for a step within it."""

    source: str
    target: str
    words: str


@dataclass
class Ladder:
    """The columns, by name, and the steps; a step without columns is a line across."""

    title: str
    columns: dict[str, str]
    steps: list[Step] = field(default_factory=list)
    width: int = 250
    """The distance from one column to the next."""

    @classmethod
    def parse(cls, text: str) -> Ladder:
        """Read the text form; raises ValueError for an invalid line."""
        made = cls("", {})
        for line in filter(None, text.splitlines()):
            name, colon, words = (part.strip() for part in line.partition(":"))
            if name == "title":
                made.title = words
            elif name == "---":
                made.steps.append(Step("", "", words))
            elif (found := ARROW.fullmatch(line)) and {found[1], found[2]} <= made.columns.keys():
                made.steps.append(Step(*found.groups()))
            elif colon and name in made.columns:
                made.steps.append(Step(name, name, words))
            elif colon and name.isidentifier():
                made.columns[name] = words
            else:
                raise ValueError(f"this is no line of a ladder: {line!r}")
        return made

    def draw(self) -> str:
        """Return the diagram as SVG."""
        width = self._at(list(self.columns)[-1]) + MARGIN + self._right()
        height = self._top() + ROW * len(self.steps) + MARGIN
        return "\n".join((
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
            f' width="{width}" height="{height}" role="img" aria-label="{escape(self.title)}">',
            f"<style>{style()}{FORM}</style>",
            f'<rect class="ground" width="{width}" height="{height}" rx="8"/>',
            f'<text class="title" x="{MARGIN}" y="34">{escape(self.title)}</text>',
            *self._columns(height),
            *(line for number in range(len(self.steps)) for line in self._step(number, width)),
            "</svg>\n",
        ))  # fmt: skip

    def _at(self, column: str) -> int:
        return MARGIN + 60 + self.width * list(self.columns).index(column)

    def _top(self) -> int:
        """Return where the steps begin, below the heads of the columns."""
        return TOP + 18 + LINE * max(words.count(";") for words in self.columns.values())

    def _right(self) -> int:
        """Return the width to the right of the last column, for its head and its own steps."""
        last = list(self.columns)[-1]
        own = [len(step.words) for step in self.steps if step.source == step.target == last]
        head = max(map(len, self.columns[last].split(";")))
        return round(max([head * LETTER - 40, *(BESIDE + length * LETTER for length in own)]))

    def _columns(self, height: int) -> Iterator[str]:
        for name, words in self.columns.items():
            x = self._at(name)
            for number, line in enumerate(words.split(";")):
                kind = "soft" if number else "head"
                y = TOP + LINE * number
                yield f'<text class="{kind}" x="{x - 40}" y="{y}">{escape(line.strip())}</text>'
            yield f'<path class="line rail" d="M{x} {self._top() - 6}V{height - MARGIN}"/>'

    def _step(self, number: int, width: int) -> Iterator[str]:
        step = self.steps[number]
        y = self._top() + ROW * number + 22
        if not step.source:
            yield f'<path class="line" d="M{MARGIN} {y - 8}H{width - MARGIN}"/>'
            yield f'<text class="soft" x="{MARGIN}" y="{y + 8}">{escape(step.words)}</text>'
            return
        start, end = self._at(step.source), self._at(step.target)
        if start == end:
            yield (f'<path class="spread arrow" d="M{start} {y - 9}h{BESIDE - 8}q6 0 6 6'
                   f'q0 6 -6 6h-{BESIDE - 14}"/>')  # fmt: skip
            yield from _tip(start + 4, y + 3, -1)
            yield f'<text class="step" x="{start + BESIDE + 6}" y="{y}">{escape(step.words)}</text>'
            return
        way = 1 if end > start else -1
        yield f'<path class="spread arrow" d="M{start} {y}H{end - 4 * way}"/>'
        yield from _tip(end - way, y, way)
        left = min(start, end) + 12
        yield f'<text class="step" x="{left}" y="{y - 6}">{escape(step.words)}</text>'


def _tip(x: int, y: int, way: int) -> Iterator[str]:
    yield f'<path class="spread tip" d="M{x - 8 * way} {y - 4}L{x} {y}L{x - 8 * way} {y + 4}"/>'

"""Draw the README's picture as SVG: the output of `holloway demo` on a terminal.

python tests/docs/demo_picture.py      (as root)
"""

from __future__ import annotations

import os
import pty
import re
import sys
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME
from rich.text import Text

PICTURE = Path(__file__).parent.parent.parent / "docs/pictures/demo.svg"
STEPS = ("First packets", "On the wire")
FONTS = "ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace"
WIDTH = 98
LETTER = 12.2  # the width of a letter in rich's SVG
SPACE = "&#160;"
INDENTED = re.compile(rf'x="([^"]*)"([^>]*)textLength="([^"]*)"([^>]*)>((?:{SPACE})+)')


def demo() -> str:
    """Run the demo on a terminal, and return what it prints."""
    printed = b""

    def read(terminal: int) -> bytes:
        nonlocal printed
        printed += (more := os.read(terminal, 65536))
        return more

    os.environ.pop("NO_COLOR", None)
    status = pty.spawn([sys.executable, "-m", "holloway", "demo"], read)
    if status:
        sys.exit("the demo failed")
    return printed.decode().replace("\r\n", "\n")


def excerpt(printed: str) -> str:
    """Return the steps that the picture shows."""
    steps = re.split(r"\n(?=\x1b\[1m[0-9]  )", printed)
    return "\n".join(
        step.rstrip("\n") + "\n" for step in steps if any(name in step[:40] for name in STEPS)
    )


def draw(text: str) -> str:
    """Return a picture of a terminal with this text."""
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere)
        console.print(Text.from_ansi(text))
        # Without the fonts that rich would make the reader's browser download.
        form = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
        form = form.replace("Fira Code, monospace", FONTS).replace("arial", "sans-serif")
        drawn = console.export_svg(
            title="holloway demo", theme=SVG_EXPORT_THEME, code_format=form, unique_id="demo"
        )
    return INDENTED.sub(_moved, drawn)


def _moved(text: re.Match[str]) -> str:
    """Begin a line at its first letter, because not every SVG renderer keeps leading spaces."""
    x, between, length, rest, spaces = text.groups()
    width = LETTER * spaces.count(SPACE)
    return f'x="{float(x) + width:.1f}"{between}textLength="{float(length) - width:.1f}"{rest}>'


def main() -> None:
    PICTURE.write_text(draw(excerpt(demo())).rstrip("\n") + "\n")


if __name__ == "__main__":
    main()

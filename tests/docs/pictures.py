"""Draw the pictures of the documentation, or report those that are out of date.

    python tests/docs/pictures.py [--check]

The sequence diagrams come from their texts in `docs/pictures`, the states of the handshake from
running the core.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent.parent
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "bench")]

from docs.handshake import STATES, transitions  # noqa: E402
from docs.ladder import Ladder, Step  # noqa: E402

PICTURES = REPOSITORY / "docs/pictures"


def pictures() -> dict[Path, str]:
    """Return the path and the SVG of every picture."""
    drawn = {
        text.with_suffix(".svg"): Ladder.parse(text.read_text()).draw()
        for text in sorted(PICTURES.glob("*.txt"))
    }
    return {**drawn, PICTURES / "handshake.svg": handshake()}


def handshake() -> str:
    """Return the picture of the handshake's states, as columns with every transition."""
    names = [state.__name__ for state in STATES]
    columns = {state.__name__: f"{state.__name__}; {state.__doc__}" for state in STATES}
    ladder = Ladder("The states of a peer's handshake", columns, width=470)
    found = transitions()
    for before in names:
        ladder.steps.append(Step("", "", f"In {before}"))
        for one in sorted(found, key=lambda one: names.index(one.after) == names.index(before)):
            if one.before == before:
                words = f"{one.stimulus}: {one.reaction}"
                ladder.steps.append(Step(before, one.after, words))
    return ladder.draw()


def main() -> int:
    """Write or check the pictures, and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = [
        path for path, svg in pictures().items() if not path.exists() or path.read_text() != svg
    ]
    for path in stale:
        if check:
            print(f"{path.name} is out of date: make pictures", file=sys.stderr)
        else:
            path.write_text(pictures()[path])
            print(f"wrote {path.relative_to(REPOSITORY)}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())

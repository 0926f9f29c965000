"""Runs one target under Atheris, which follows the coverage of the parsers (`make fuzz`).

Usage: run.py TARGET [CORPUS...] [libFuzzer's options]    `run.py --list` prints the targets.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))


def main() -> None:
    name = sys.argv[1]
    if name == "--list":
        from fuzzing.targets import TARGETS

        print("\n".join(TARGETS))
        return
    import atheris

    with atheris.instrument_imports(include=["holloway"]):
        from fuzzing.targets import TARGETS
    atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()

"""Puts off the import of a module until something of it is used.

`dataclasses` imports `inspect`, with the parser and the disassembler behind it, and uses it only
for classes without a docstring. Commands call this, where they own the process; the library does
not.
"""

from __future__ import annotations

import sys

MODULES = ("inspect",)


def put_off() -> None:
    """Let `import` find these modules loaded, and load each with the first attribute of it."""
    for name in MODULES:
        if name not in sys.modules:
            sys.modules[name] = _Later(name)


class _Later(type(sys)):  # type: ignore[misc]  # `types`, which names it, takes a moment to load
    """Stands for a module that is not loaded."""

    def __getattr__(self, attribute: str) -> object:
        name: str = self.__dict__["__name__"]
        if sys.modules.get(name) is self:
            del sys.modules[name]
        return getattr(__import__(name), attribute)

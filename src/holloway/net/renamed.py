"""Arguments that have a new name: the old one works until 1.0, with a DeprecationWarning."""

from __future__ import annotations

import warnings
from typing import TypeVar

Value = TypeVar("Value")


def renamed(old: str, given: Value | None, new: str, value: Value | None) -> Value | None:
    """Return the value of an argument that may have been given by its old name."""
    if given is None:
        return value
    if value is not None:
        raise TypeError(f"{old} is the old name of {new}: give one of them")
    # Of `renamed`, of the function with that argument, and of its caller.
    warnings.warn(f"{old}= is now {new}=", DeprecationWarning, stacklevel=3)
    return given

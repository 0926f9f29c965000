"""Arguments that have a new name: the old one works until 1.0, with a DeprecationWarning."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holloway.net.stack import Address


def renamed(old: str, given: Address | None, new: str, value: Address | None) -> Address | None:
    """Return the value of an argument that may have been given by its old name."""
    if given is None:
        return value
    if value is not None:
        raise TypeError(f"{old} is the old name of {new}: give one of them")
    # Of `renamed`, of the function with that argument, and of its caller.
    warnings.warn(f"{old}= is now {new}=", DeprecationWarning, stacklevel=3)
    return given

"""The errors Holloway raises. Errors of the operating system pass unchanged as `OSError`.

No error repeats a key: `without_keys` is applied to every text that one is made of.
"""

from __future__ import annotations

TYPE_CHECKING = False  # without `typing`, which takes 6 ms to load
if TYPE_CHECKING:
    from typing import Final

HIDDEN: Final = "(hidden)"
"""What is printed in place of a secret."""


def without_keys(text: str) -> str:
    """Replace everything in a text that may be a key, in base64 or in hexadecimal digits.

    A key with a character too few or too many is hidden too: what is left of it is still a secret.
    """
    if len(text) < _SHORTEST:
        return text
    import re  # takes 5 ms to load, and most runs meet no error

    def replaced(run: re.Match[str]) -> str:
        word, end = run["word"], run["end"]
        is_base64 = end and len(word) >= _BASE64
        # A path has few capitals; of a million keys ten have fewer than four.
        is_cut = sum(map(str.isupper, word)) >= _CAPITALS
        return HIDDEN if is_base64 or is_cut or re.search(_HEXADECIMAL, word) else run[0]

    return re.sub(_RUN, replaced, text)


class HollowayError(Exception):
    """Base of every error that Holloway itself raises."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(
            *(without_keys(each) if isinstance(each, str) else each for each in arguments)
        )


class KeyFormatError(HollowayError, ValueError):
    """A key is not 32 bytes in canonical base64 or hexadecimal."""


class BadMessage(HollowayError):
    """Bytes from the network that are not a valid message; counted, never shown to a user."""


class ConfigError(HollowayError):
    """A configuration text that was refused whole.

    `line` counts from 1 and is None where the text has no lines (a command line); `key` is the
    setting's name as written; `reason` says what is wrong with its value.
    """

    def __init__(self, reason: str, *, key: str | None = None, line: int | None = None) -> None:
        super().__init__(reason)
        self.reason = without_keys(reason)
        self.key = None if key is None else without_keys(key)
        self.line = line

    def __str__(self) -> str:
        place = "" if self.line is None else f"line {self.line}: "
        name = "" if self.key is None else f"{self.key}: "
        return f"{place}{name}{self.reason}"


_SHORTEST: Final = 40
_RUN: Final = r"(?P<word>[A-Za-z0-9+/]{40,})(?P<end>=*)"
_BASE64: Final = 43  # characters before the "="
_CAPITALS: Final = 4
_HEXADECIMAL: Final = r"[0-9A-Fa-f]{60}"

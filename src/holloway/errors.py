"""The errors that Holloway raises. Errors of the operating system pass unchanged as `OSError`.

No error message contains a key: `without_keys` is applied to each of them.
"""

from __future__ import annotations

TYPE_CHECKING = False  # without `typing`, which takes 6 ms to load
if TYPE_CHECKING:
    from typing import Final

HIDDEN: Final = "(hidden)"
"""The text printed in place of a secret."""


def without_keys(text: str) -> str:
    """Replace every part of a text that may be a key in base64 or hexadecimal.

    A key with a few characters missing or added is replaced too: the rest is still a secret.
    """
    if len(text) < _SHORTEST:
        return text
    import re  # takes 5 ms to load, and most runs raise no error

    def replaced(run: re.Match[str]) -> str:
        word, end = run["word"], run["end"]
        is_base64 = end and len(word) >= _BASE64
        # A path has few capital letters; ten of a million keys have fewer than four.
        is_cut = sum(map(str.isupper, word)) >= _CAPITALS
        return HIDDEN if is_base64 or is_cut or re.search(_HEXADECIMAL, word) else run[0]

    return re.sub(_RUN, replaced, text)


class HollowayError(Exception):
    """The base class of all errors of Holloway."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(
            *(without_keys(each) if isinstance(each, str) else each for each in arguments)
        )


class KeyFormatError(HollowayError, ValueError):
    """A key is not 32 bytes in canonical base64 or hexadecimal."""


class BadMessage(HollowayError):
    """Bytes from the network are not a valid message. They are counted; users never see this."""


class ConfigError(HollowayError):
    """A configuration was refused, and nothing of it applied.

    `line` counts from 1 and is None if there are no lines, as on a command line; `key` is the
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

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

    A key that was cut, or typed with a wrong or one more character, is replaced too: what is left
    of it is still a secret. Pieces of fewer than 16 characters may remain.
    """
    if len(text) < _SHORTEST:
        return text
    import re  # takes 5 ms to load, and most runs raise no error

    text = re.sub(_SETTING, rf"\g<1>{HIDDEN}", text)
    text = re.sub(_RUN, lambda run: HIDDEN if _is_secret(run[0]) else run[0], text)
    # A wrong character may be one that ends a word, and there may be a piece on either side.
    while (shorter := re.sub(_BESIDE, HIDDEN, text)) != text:
        text = shorter
    return text


def _is_secret(run: str) -> bool:
    """Whether a part of a run of characters looks like a key, whole or in part."""
    import re

    for each in re.finditer(_WORD, run):
        word, end = each["word"], each["end"]
        capitals = sum(map(str.isupper, word))
        if end and len(word) >= _BASE64 and re.fullmatch(_ALPHABET, word):
            return True
        # A path has few capital letters; ten of a million keys have fewer than four.
        if capitals >= _CAPITALS and re.search(_LONG, word):
            return True
        if re.search(_HEXADECIMAL, word) or (capitals > 1 and _is_random(word)):
            return True
    return False


def _is_random(word: str) -> bool:
    """Whether letters of both cases and digits follow one another as in no word of a language.

    In base64, two of three characters are of another class than the one before; in names and
    paths, one of four is. Of a hundred pieces of 20 characters two are taken for a name.
    """
    classes = [
        "A" if each.isupper() else "a" if each.islower() else "0" if each.isdigit() else ""
        for each in word
    ]
    changes = sum(classes[place] != each for place, each in enumerate(classes[1:]))
    return "a" in classes and changes >= _CHANGES * (len(word) - 1)


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


_SHORTEST: Final = 12
_STOP: Final = r"""\s`'"=:,;()\[\]{}<>|&$%"""  # where a word of a message ends
_RUN: Final = rf"[^{_STOP}]{{16,}}=*"
_WORD: Final = r"(?P<word>[A-Za-z0-9+/_-]{16,})(?P<end>=*)"
_ALPHABET: Final = r"[A-Za-z0-9+/]+"
_LONG: Final = r"[A-Za-z0-9+/]{40}"
_BASE64: Final = 43  # characters before the "="
_CAPITALS: Final = 4
_CHANGES: Final = 0.42
_HEXADECIMAL: Final = r"[0-9A-Fa-f]{32}"
_HALF: Final = r"(?=\S*[A-Z]\S*[A-Z])[A-Za-z0-9+/]{8,}=*"
_BESIDE: Final = rf"{_HALF}[ ,:'\"]\(hidden\)|\(hidden\)[ ,:'\"]{_HALF}"
_SETTING: Final = (
    # The value of a key's setting, of whatever form: `PrivateKey=...`, `PrivateKey:...`,
    # `PrivateKey...` of a line whose "=" is missing, and what wg(8) says of a bad key.
    r"(?i)(key=\s*|key:|\b(?:priv|pre|pub)[a-z_]{0,9}key(?!=)|length or format: `)"
    r"\S{7,}?[^\s'](?='?\.?(?:\s|$))"
)

"""The errors Holloway raises. Operating system errors pass untouched as `OSError`."""


class HollowayError(Exception):
    """Base of every error that Holloway itself raises."""


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
        self.reason = reason
        self.key = key
        self.line = line

    def __str__(self) -> str:
        place = "" if self.line is None else f"line {self.line}: "
        name = "" if self.key is None else f"{self.key}: "
        return f"{place}{name}{self.reason}"

"""The text codec in Rust (`crates/codec`): its types, and its errors as `ConfigError`s.

For callers that pass on thousands of peers and need no `Peer` object for each; `text.uapi` and
`text.conf` return the model. Imports little, because `wg` starts here.
"""

from __future__ import annotations

import errno

from holloway._native import (
    Changes,
    Refused,
    State,
    Update,
    blank_line,
    read_endpoint,
    read_fwmark,
    read_keepalive,
    read_port,
)
from holloway._native import dump_answer as _dump_answer
from holloway.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec, TypeVar

    from holloway.text.resolver import Resolver

    Arguments = ParamSpec("Arguments")
    Value = TypeVar("Value")

__all__ = [
    "Changes",
    "State",
    "UapiError",
    "Update",
    "blank_line",
    "dump_answer",
    "read_answer",
    "read_configuration",
    "read_endpoint",
    "read_fwmark",
    "read_keepalive",
    "read_port",
    "read_request",
]


class UapiError(ConfigError):
    """A UAPI text that was refused as a whole; `errno` is positive."""

    def __init__(
        self, number: int, reason: str, *, key: str | None = None, line: int | None = None
    ) -> None:
        super().__init__(reason, key=key, line=line)
        self.errno = number


def read_answer(answer: bytes) -> State:
    """Parse a device's answer to get; raises `UapiError`, always EPROTO."""
    try:
        return State.read(answer)
    except Refused as refused:
        raise _uapi_error(refused) from None


def dump_answer(answer: bytes) -> bytes:
    """Format an answer to get as `wg show INTERFACE dump` does; raises `UapiError` (EPROTO)."""
    try:
        return _dump_answer(answer, b"")
    except Refused as refused:
        raise _uapi_error(refused) from None


def read_request(body: bytes) -> Update:
    """Parse the lines of a set, each with its line break; raises `UapiError`."""
    try:
        return Update.read_request(body)
    except Refused as refused:
        raise _uapi_error(refused) from None


def read_configuration(
    source: bytes | list[tuple[int, bytes]],
    resolver: Resolver,
    *,
    append: bool = False,
    numeric: bool = False,
) -> Update:
    """Parse a configuration file, or numbered lines of one; raises `ConfigError`.

    Settings that the file does not name are reset, as by setconf, or kept with `append`, as by
    addconf. With `numeric` the resolver is not called for numeric addresses and ports.
    """
    try:
        return Update.read_configuration(source, resolver, append=append, numeric=numeric)
    except Refused as refused:
        _, line, key, reason = refused.args
        raise ConfigError(_text(reason), key=_optional_text(key), line=line) from None


def setting(
    read: Callable[Arguments, Value], *arguments: Arguments.args, **more: Arguments.kwargs
) -> Value:
    """Call a function that parses one setting; raises `ConfigError` with wg(8)'s message."""
    try:
        return read(*arguments, **more)
    except Refused as refused:
        raise ConfigError(_text(refused.args[3])) from None


def encoded(text: str) -> bytes:
    """Return the bytes that a text was decoded from."""
    return text.encode("utf-8", "surrogateescape")


def refusal(refused: Refused) -> ConfigError:
    """Convert the error of an update that cannot be applied."""
    return _uapi_error(refused)


def _uapi_error(refused: Refused) -> UapiError:
    is_other_language, line, key, reason = refused.args
    number = errno.EPROTO if is_other_language else errno.EINVAL
    return UapiError(number, _text(reason), key=_optional_text(key), line=line)


def _optional_text(key: bytes | None) -> str | None:
    return None if key is None else _text(key)


def _text(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")

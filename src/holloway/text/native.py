"""The codec of texts, which is in Rust (`crates/codec`): its values, and its refusals as ours.

For whoever has thousands of peers to pass on and no use for a `Peer` each; `text.uapi` and
`text.conf` are the same for those who want the model. Loads next to nothing, for `wg` starts here.
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

    from holloway.text.values import Resolver

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
    """A text of the UAPI that was refused whole; `errno` is positive."""

    def __init__(
        self, number: int, reason: str, *, key: str | None = None, line: int | None = None
    ) -> None:
        super().__init__(reason, key=key, line=line)
        self.errno = number


def read_answer(answer: bytes) -> State:
    """Read a device's answer to get; raises `UapiError`, always EPROTO: the fault is its own."""
    try:
        return State.read(answer)
    except Refused as refused:
        raise _uapi_error(refused) from None


def dump_answer(answer: bytes) -> bytes:
    """Print an answer to get as `wg show INTERFACE dump` does; raises `UapiError` likewise."""
    try:
        return _dump_answer(answer, b"")
    except Refused as refused:
        raise _uapi_error(refused) from None


def read_request(body: bytes) -> Update:
    """Read the lines of a set, each with its end; raises `UapiError`."""
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
    """Read a configuration file, or numbered lines of one; raises `ConfigError`.

    As setconf has it, what the file does not name is reset; with `append`, as addconf has it, it
    stays. With `numeric` the resolver is not asked about addresses and ports that are numbers.
    """
    try:
        return Update.read_configuration(source, resolver, append=append, numeric=numeric)
    except Refused as refused:
        _, line, key, reason = refused.args
        raise ConfigError(_text(reason), key=_optional_text(key), line=line) from None


def setting(
    read: Callable[Arguments, Value], *arguments: Arguments.args, **more: Arguments.kwargs
) -> Value:
    """Have a single setting read; raises `ConfigError` with the sentence that wg(8) prints."""
    try:
        return read(*arguments, **more)
    except Refused as refused:
        raise ConfigError(_text(refused.args[3])) from None


def encoded(text: str) -> bytes:
    """The bytes that a text was read from."""
    return text.encode("utf-8", "surrogateescape")


def refusal(refused: Refused) -> ConfigError:
    """Say why an update that was read cannot be applied."""
    return _uapi_error(refused)


def _uapi_error(refused: Refused) -> UapiError:
    is_other_language, line, key, reason = refused.args
    number = errno.EPROTO if is_other_language else errno.EINVAL
    return UapiError(number, _text(reason), key=_optional_text(key), line=line)


def _optional_text(key: bytes | None) -> str | None:
    return None if key is None else _text(key)


def _text(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")

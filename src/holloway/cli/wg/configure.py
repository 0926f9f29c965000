"""`wg setconf`, `addconf` and `syncconf`: the codec turns a file into a request.

No Python object is created per peer and few modules are imported, so that ten thousand peers cost
little more than reading their text.
"""

from __future__ import annotations

import os

from holloway.cli.wg.report import NAME, fail, print_err, reason
from holloway.control import find
from holloway.errors import ConfigError
from holloway.text.native import read_configuration

TYPE_CHECKING = False  # without `typing`, which takes 6 ms to load
if TYPE_CHECKING:
    from typing import Final

    from holloway.control.resolve import SystemResolver
    from holloway.model import Endpoint
    from holloway.text.native import Update

MISSING_PUBLIC_KEY: Final = "A peer is missing a public key"
"""The only reason that concerns a whole file and not one of its lines."""


def set_file(name: str, arguments: list[str]) -> int:
    """Run `wg setconf`, `addconf` or `syncconf`; returns the exit status."""
    if len(arguments) != 2:
        return fail(f"Usage: {NAME} {name} <interface> <configuration filename>")
    interface, path = arguments
    try:
        with open(path, "rb") as file:
            text = file.read()
    except OSError as error:
        return fail(f"fopen: {reason(error)}")
    try:
        update = _read(text, append=name == "addconf")
    except ConfigError as error:
        return _refused(error)
    if name == "syncconf" and update.names_peers:
        try:
            update = update.since(find(interface).state())
        except OSError as error:
            return fail(f"Unable to retrieve current interface configuration: {reason(error)}")
    try:
        find(interface).apply(update)
    except OSError as error:
        return fail(f"Unable to modify interface: {reason(error)}")
    return 0


def _read(text: bytes, *, append: bool) -> Update:
    # wg(8) parses the variable at the first endpoint, even if that is numeric.
    numeric = "WG_ENDPOINT_RESOLUTION_RETRIES" not in os.environ
    return read_configuration(text, _LateResolver(), append=append, numeric=numeric)


def _refused(error: ConfigError) -> int:
    from holloway.control.resolve import BadEnvironment

    print_err(error.reason)
    if isinstance(error, BadEnvironment):
        return 1
    missing = error.reason == MISSING_PUBLIC_KEY
    return fail("Invalid configuration" if missing else "Configuration parsing error")


class _LateResolver:
    """The system's resolver, imported for the first name: numeric files do not need it."""

    def port(self, service: str) -> int:
        return self._system().port(service)

    def endpoint(self, host: str, service: str, text: str) -> Endpoint:
        return self._system().endpoint(host, service, text)

    def warn(self, sentence: str) -> None:
        print_err(sentence)

    def _system(self) -> SystemResolver:
        from holloway.control.resolve import SystemResolver

        return SystemResolver(print_err)

"""Looks up hosts and services for a configuration, with wg(8)'s retries.

A temporary failure is tried again, after 1 s and then at growing intervals; each wait is printed.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import Final

from holloway.errors import ConfigError
from holloway.model import Endpoint

RETRIES: Final = 15
FOREVER: Final = -1
FIRST_WAIT: Final = 1_000_000  # microseconds; then 6/5 of the one before, as wg(8)
LONGEST_WAIT: Final = 20_000_000
MAX_RETRIES: Final = 0x7FFFFFFF


class BadEnvironment(ConfigError):
    """A variable of the environment has an invalid value."""


class SystemResolver:
    """A `text.resolver.Resolver` that asks the system; messages go to `print_message`."""

    def __init__(
        self,
        print_message: Callable[[str], None],
        environment: Mapping[str, str] = os.environ,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._print_message = print_message
        self._environment = environment
        self._sleep = sleep

    def warn(self, sentence: str) -> None:
        """Tell the user."""
        self._print_message(sentence)

    def port(self, service: str) -> int:
        """Look up a listening port; larger numbers wrap around, as in wg(8)."""
        try:
            found = _look_up(None, service, socket.AI_PASSIVE)
        except OSError as error:
            raise ConfigError(f"{error.strerror}: `{service}'") from None
        return int(found[1])

    def endpoint(self, host: str, service: str, text: str) -> Endpoint:
        """Look up an endpoint; see WG_ENDPOINT_RESOLUTION_RETRIES in wg(8)."""
        retries, wait = retries_allowed(self._environment), FIRST_WAIT
        if (numeric := _numeric(host, service)) is not None:
            return numeric
        while True:
            try:
                found = _look_up(host, service, 0)
                break
            except OSError as error:
                if error.errno in _PERMANENT or retries == 0:
                    raise ConfigError(f"{error.strerror}: `{text}'") from None
                seconds = wait / 1_000_000
                reason = f"{error.strerror}: `{text}'"
                self._print_message(f"{reason}. Trying again in {seconds:.2f} seconds...")
            self._sleep(seconds)
            retries, wait = max(retries - 1, FOREVER), min(wait * 6 // 5, LONGEST_WAIT)
        return Endpoint(found[0], int(found[1]))


def retries_allowed(environment: Mapping[str, str]) -> int:
    """Return how often to try again, or `FOREVER`; raises `BadEnvironment`."""
    text = environment.get(_VARIABLE)
    if text is None:
        return RETRIES
    if text == "infinity":
        return FOREVER
    digits = text.lstrip("0") or "0"
    if not text:
        return 0
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 10 or int(digits) > MAX_RETRIES:
        raise BadEnvironment(f"Unable to parse {_VARIABLE}: `{text}'")
    return int(digits)


def _numeric(host: str, service: str) -> Endpoint | None:
    """Read a numeric endpoint; the system takes ten times as long, and may ask its NSS."""
    if "%" in host:
        return None  # only the system knows whether there is such an interface
    try:
        return Endpoint.parse(f"[{host}]:{service}" if ":" in host else f"{host}:{service}")
    except ValueError:
        return None


def _look_up(host: str | None, service: str, flags: int) -> tuple[str, str]:
    # Bytes are passed to the C library unchanged, without Python's IDNA.
    name = None if host is None else os.fsencode(host)
    found = socket.getaddrinfo(
        name, os.fsencode(service), socket.AF_UNSPEC, socket.SOCK_DGRAM, socket.IPPROTO_UDP, flags
    )
    numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV | socket.NI_DGRAM
    return socket.getnameinfo(found[0][4], numeric)


_VARIABLE: Final = "WG_ENDPOINT_RESOLUTION_RETRIES"
_PERMANENT: Final = {socket.EAI_NONAME, socket.EAI_FAIL, socket.EAI_NODATA}

"""What a text asks of the outside world, as a protocol."""

from __future__ import annotations

from typing import Protocol

from holloway.model import Endpoint


class Resolver(Protocol):
    """Looks up names for a configuration, and prints warnings."""

    def port(self, service: str) -> int:
        """Look up a UDP port by number or name; raises `ConfigError`."""

    def endpoint(self, host: str, service: str, text: str) -> Endpoint:
        """Look up an endpoint, `text` in the file; raises `ConfigError`."""

    def warn(self, sentence: str) -> None:
        """Print a warning about something that is accepted."""

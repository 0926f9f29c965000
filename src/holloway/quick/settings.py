"""The wg(8) half of a configuration file: all of it is checked at once, names are looked up later.

They are looked up when the device exists and PreUp has run, as upstream does: a hook may make a
name server reachable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holloway.control.resolve import SystemResolver
from holloway.model import Endpoint
from holloway.quick.steps import print_message
from holloway.text.conf import parse_conf

if TYPE_CHECKING:
    from collections.abc import Callable

    from holloway.model import DeviceUpdate
    from holloway.quick.source import Source


def settings(source: Source) -> Callable[[], DeviceUpdate]:
    """Check the file, and return a function that reads it with endpoints; both raise ConfigError.

    Settings that the file does not name stay, as with tools after 2021: the device is new, and if
    it has a setting already, PreUp set it.
    """
    resolver = SystemResolver(print_message)
    parse_conf(source.config, _PortResolver(resolver), append=True)
    return lambda: parse_conf(source.config, resolver, append=True)


class _PortResolver:
    """A resolver that looks up no hosts, and leaves warnings to the one that does."""

    def __init__(self, resolver: SystemResolver) -> None:
        self._resolver = resolver

    def port(self, service: str) -> int:
        """Look up a port, which the system knows without asking the network."""
        return self._resolver.port(service)

    def endpoint(self, host: str, service: str, text: str) -> Endpoint:
        """Return a placeholder for the endpoint."""
        return Endpoint(host, 0)

    def warn(self, sentence: str) -> None:
        """Print nothing: the other resolver will."""

"""The wg(8) half of a configuration file: checked whole at once, its endpoints looked up later.

They are looked up when the device is there and PreUp has run, as upstream does: a hook may be
what makes a name server reachable.
"""

from __future__ import annotations

from collections.abc import Callable

from holloway.control.resolve import SystemResolver
from holloway.model import DeviceUpdate, Endpoint
from holloway.quick.source import Source
from holloway.quick.steps import print_message
from holloway.text.conf import parse_conf


def settings(source: Source) -> Callable[[], DeviceUpdate]:
    """Check the file, and return what reads it with its endpoints; both raise ConfigError.

    What the file does not name stays as it is, as tools after 2021 have it: the device is new,
    and if something is set already, PreUp set it.
    """
    resolver = SystemResolver(print_message)
    parse_conf(source.config, _PortResolver(resolver), append=True)
    return lambda: parse_conf(source.config, resolver, append=True)


class _PortResolver:
    """A resolver that leaves hosts alone, and warnings to the one that does not."""

    def __init__(self, resolver: SystemResolver) -> None:
        self._resolver = resolver

    def port(self, service: str) -> int:
        """Look up a port: the system knows them without asking the network."""
        return self._resolver.port(service)

    def endpoint(self, host: str, service: str, text: str) -> Endpoint:
        """Stand in for the endpoint."""
        return Endpoint(host, 0)

    def warn(self, sentence: str) -> None:
        """Say nothing: it will be said later."""

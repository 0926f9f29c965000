"""Transports for httpx: `httpx.AsyncClient(transport=AsyncTransport(network))`, and a blocking one.

They are httpx's own transports with another way to connect. As always for a client with a
transport, httpx ignores environment variables that name a proxy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import httpcore
import httpx

from holloway.net.adapters.httpcore import AsyncBackend, Backend

if TYPE_CHECKING:
    import ssl

    from holloway.net.blocking import BlockingNetwork
    from holloway.net.network import Network

LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=5.0)
"""httpx's own default."""


class AsyncTransport(httpx.AsyncHTTPTransport):
    """Connects through a `Network`; takes `Options`, as `httpx.AsyncHTTPTransport` does."""

    def __init__(self, network: Network, **options: Unpack[Options]) -> None:
        # Not the base's `__init__`, whose pool connects by the system.
        backend = AsyncBackend(network)
        self._pool = httpcore.AsyncConnectionPool(**_pool(**options), network_backend=backend)


class Transport(httpx.HTTPTransport):
    """Connects through a blocking network; takes `Options`, as `httpx.HTTPTransport` does."""

    def __init__(self, network: BlockingNetwork, **options: Unpack[Options]) -> None:
        backend = Backend(network)
        self._pool = httpcore.ConnectionPool(**_pool(**options), network_backend=backend)


class Options(TypedDict, total=False):
    """The options of both transports, with the meaning that httpx gives them."""

    verify: ssl.SSLContext | bool
    http1: bool
    http2: bool
    limits: httpx.Limits
    retries: int


def _pool(
    verify: ssl.SSLContext | bool = True, limits: httpx.Limits = LIMITS, **options: Any
) -> dict[str, Any]:
    """Return the arguments of a pool of httpcore; what is not given is httpcore's default."""
    return {
        "ssl_context": httpx.create_ssl_context(verify),
        "max_connections": limits.max_connections,
        "max_keepalive_connections": limits.max_keepalive_connections,
        "keepalive_expiry": limits.keepalive_expiry,
        **options,
    }

"""Transports for httpx: `httpx.AsyncClient(transport=AsyncTransport(network))`, and the blocking.

All but the way to connect is httpx's own transport. Environment variables that name a proxy are
not heeded, by httpx's own rule for a client with a transport.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpcore
import httpx

from holloway.net.adapters.httpcore import AsyncBackend, Backend

if TYPE_CHECKING:
    import ssl

    from holloway.net.blocking import BlockingNetwork
    from holloway.net.network import Network

LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=5.0)
"""As httpx has them."""


class AsyncTransport(httpx.AsyncHTTPTransport):
    """Connects through a `Network`; the arguments are those of `httpx.AsyncHTTPTransport`."""

    def __init__(
        self,
        network: Network,
        *,
        verify: ssl.SSLContext | bool = True,
        http1: bool = True,
        http2: bool = False,
        limits: httpx.Limits = LIMITS,
        retries: int = 0,
    ) -> None:
        # Not the base's: it would make a pool that knows no other way than the system's.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(verify),
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            http1=http1,
            http2=http2,
            retries=retries,
            network_backend=AsyncBackend(network),
        )


class Transport(httpx.HTTPTransport):
    """Connects through a blocking network; the arguments are those of `httpx.HTTPTransport`."""

    def __init__(
        self,
        network: BlockingNetwork,
        *,
        verify: ssl.SSLContext | bool = True,
        http1: bool = True,
        http2: bool = False,
        limits: httpx.Limits = LIMITS,
        retries: int = 0,
    ) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(verify),
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            http1=http1,
            http2=http2,
            retries=retries,
            network_backend=Backend(network),
        )

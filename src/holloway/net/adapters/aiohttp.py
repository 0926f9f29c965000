"""A connector for aiohttp: `aiohttp.ClientSession(connector=Connector(network))`.

Names are looked up, and connections made, through the tunnel; pooling and TLS are aiohttp's.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler

    from holloway.net.network import Network


class Connector(aiohttp.TCPConnector):
    """Connects through a `Network`; takes the options of `aiohttp.TCPConnector`."""

    def __init__(self, network: Network, **options: Any) -> None:
        super().__init__(resolver=Resolver(network), **options)
        self._network = network

    async def _wrap_create_connection(
        self,
        *factory: Any,
        addr_infos: list[Any],
        req: aiohttp.ClientRequest,
        timeout: aiohttp.ClientTimeout,
        client_error: type[Exception] = aiohttp.ClientConnectorError,
        **kwargs: Any,
    ) -> tuple[asyncio.Transport, ResponseHandler]:
        """Connect to the first address; if it fails, aiohttp tries again without it."""
        host, port = addr_infos[0][4][:2]
        try:
            async with asyncio.timeout(timeout.sock_connect):
                return await self._network.create_connection(factory[0], host, port, **kwargs)
        except ssl.SSLCertVerificationError as error:
            raise aiohttp.ClientConnectorCertificateError(req.connection_key, error) from error
        except ssl.SSLError as error:
            raise aiohttp.ClientConnectorSSLError(req.connection_key, error) from error
        except OSError as error:
            if isinstance(error, TimeoutError) and error.errno is None:
                raise
            raise client_error(req.connection_key, error) from error


class Resolver(AbstractResolver):
    """Looks names up with `Network.resolve`."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in await self._network.resolve(host, family=family)
        ]

    async def close(self) -> None:
        """Do nothing: there is nothing to close."""

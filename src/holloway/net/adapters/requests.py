"""An adapter for requests: `session.mount("http://", Adapter(network))`, and `https://` likewise.

It lets urllib3 connect through a blocking network. A proxy, also one of the environment, is reached
through the tunnel too: no request of the adapter leaves it.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import requests.adapters
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

if TYPE_CHECKING:
    from urllib3 import PoolManager

    from holloway.net.blocking import BlockingNetwork


class Adapter(requests.adapters.HTTPAdapter):
    """Connects through a network; takes the options of `requests.adapters.HTTPAdapter`."""

    def __init__(self, network: BlockingNetwork, **options: Any) -> None:
        self._pools = pools(network)
        super().__init__(**options)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **options: Any
    ) -> None:
        super().init_poolmanager(connections, maxsize, block, **options)
        manager: PoolManager = self.poolmanager
        manager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        if not proxy.lower().startswith("http"):
            raise requests.exceptions.InvalidProxyURL(f"only HTTP proxies are supported: {proxy}")
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = self._pools
        return manager


def pools(network: BlockingNetwork) -> dict[str, type[HTTPConnectionPool]]:
    """Return urllib3's pool classes, by scheme, with connections through the network."""

    class Connection(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _connect(self, network)

    class SecureConnection(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _connect(self, network)

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = SecureConnection

    return {"http": Pool, "https": SecurePool}


def _connect(connection: HTTPConnection, network: BlockingNetwork) -> socket.socket:
    host = connection.host.strip("[]")
    limit = connection.timeout if isinstance(connection.timeout, int | float) else None
    try:
        connected = network.connect(
            host, connection.port or 0, source_address=connection.source_address, timeout=limit
        )
    except socket.gaierror as error:
        raise NameResolutionError(host, connection, error) from error
    except TimeoutError as error:
        words = f"Connection to {host} timed out. (connect timeout={limit})"
        raise ConnectTimeoutError(connection, words) from error
    except OSError as error:
        words = f"Failed to establish a new connection: {error}"
        raise NewConnectionError(connection, words) from error
    for option in connection.socket_options or ():
        connected.setsockopt(*option)
    return connected

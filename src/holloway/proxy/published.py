"""A port inside a tunnel that leads to a server of this machine, which knows nothing of it.

    async with Published(network, 80, ("127.0.0.1", 8000)) as (host, port):

uvicorn, gunicorn, gRPC and other servers open their own ports of this machine, or Unix sockets,
which no other user of the machine need be able to reach. `forwarded` is the other way round.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, get_args

from holloway.net import sockets
from holloway.proxy.address import parse_address
from holloway.proxy.forward import Forward
from holloway.proxy.networks import HostNetwork
from holloway.proxy.proxy_protocol import Version
from holloway.proxy.served_port import ServedPort

if TYPE_CHECKING:
    from holloway.net.blocking import BlockingNetwork
    from holloway.net.network import Network
    from holloway.proxy.address import Address
    from holloway.proxy.networks import ProxyNetwork


class Published(ServedPort):
    """A context manager, asynchronous over a `Network`, plain over a blocking one.

    It returns the address inside the tunnel. `target` is a host and port, `host:port`, a port of
    127.0.0.1, or the path of a Unix socket. Without `host`, all our addresses have the port. For
    the server, connections come from this machine; with `proxy_protocol`, 1 or 2, each begins with
    a header that names the client, which the server has to expect.
    """

    def __init__(
        self,
        network: Network | BlockingNetwork,
        port: int,
        target: Address | str | int | os.PathLike[str],
        *,
        host: str | None = None,
        proxy_protocol: Version | None = None,
    ) -> None:
        super().__init__(network)
        if proxy_protocol not in {None, *get_args(Version)}:
            raise ValueError(f"there is no version {proxy_protocol} of the PROXY protocol")
        self._bind = (host or "", port)
        self._host, self._target = _target(target)
        self._proxy_protocol = proxy_protocol

    async def __aenter__(self) -> Address:
        host, port = await super().__aenter__()
        return (host if self._bind[0] else self._network.addresses[0]), port

    def _listening(self) -> tuple[ProxyNetwork, Address]:
        return self._network, self._bind

    def _service(self) -> Forward:
        return Forward(self._host, self._target, "published", self._proxy_protocol)


class UnixHost(HostNetwork):
    """The Unix sockets of this machine, as hosts without ports."""

    def start_connecting(self, host: str, port: int) -> socket.socket:
        del port
        return sockets.start_connecting(socket.socket(socket.AF_UNIX), host)


def _target(given: Address | str | int | os.PathLike[str]) -> tuple[HostNetwork, Address]:
    if isinstance(given, int):
        return HostNetwork(), ("127.0.0.1", given)
    if isinstance(given, tuple):
        return HostNetwork(), given
    path = os.fspath(given)
    if "/" in path:
        return UnixHost(), (path, 0)
    return HostNetwork(), parse_address(path, key="target")

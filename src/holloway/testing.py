"""Two networks of one program, each the other's peer over the loopback interface, for tests.

    from holloway.testing import pair

    with pair() as (server, client):
        ...

They need no root and no network, and take milliseconds. `pytest_plugin` has them as fixtures.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, ExitStack
from typing import Any, Final, Generic, NamedTuple, TypeVar

from holloway.key import Key
from holloway.model import AllowedIP, Device, DeviceUpdate, Endpoint, PeerUpdate
from holloway.net.blocking import BlockingNetwork
from holloway.net.network import Network

AnyNetwork = TypeVar("AnyNetwork", Network, BlockingNetwork)

SERVER: Final = ("10.77.0.1", "fd77::1")
"""The addresses of the first network of a pair."""
CLIENT: Final = ("10.77.0.2", "fd77::2")
"""The addresses of the second one."""


class Pair(NamedTuple, Generic[AnyNetwork]):
    """Two open networks. Both may listen and connect; the names say what each usually does."""

    server: AnyNetwork
    client: AnyNetwork


class pair:  # noqa: N801  # it is used as a function, as `contextlib.suppress`
    """Open two networks for a block: blocking ones for `with`, asyncio's for `async with`.

    `stack` is "kernel", "userspace", or None for the kernel's where the system allows it. Other
    options are those of `Network`, for both.
    """

    def __init__(self, stack: str | None = None, **options: Any) -> None:
        self._options = {"stack": stack, **options}

    def __enter__(self) -> Pair[BlockingNetwork]:
        both = _Two(self._options)
        with ExitStack() as opened:
            server = opened.enter_context(BlockingNetwork(both.server()))
            client = opened.enter_context(BlockingNetwork(both.client(server.device)))
            server.set(both.client_is(client.device))
            self._opened = opened.pop_all()
        return Pair(server, client)

    def __exit__(self, *exception: object) -> None:
        self._opened.close()

    async def __aenter__(self) -> Pair[Network]:
        both = _Two(self._options)
        async with AsyncExitStack() as opened:
            server = await opened.enter_async_context(both.server())
            client = await opened.enter_async_context(both.client(server.device))
            server.set(both.client_is(client.device))
            self._opened_async = opened.pop_all()
        return Pair(server, client)

    async def __aexit__(self, *exception: object) -> None:
        await self._opened_async.aclose()


class _Two:
    """The settings of two networks, with new keys, so that a peer of before is not confused."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._keys = Key.generate(), Key.generate()

    def server(self) -> Network:
        peer = PeerUpdate(self._keys[1].public(), allowed_ips=_hosts(CLIENT))
        return self._network("wg-server", self._keys[0], SERVER, peer)

    def client(self, server: Device) -> Network:
        peer = PeerUpdate(
            self._keys[0].public(),
            endpoint=Endpoint(LOOPBACK, server.listen_port),
            allowed_ips=_hosts(SERVER),
        )
        return self._network("wg-client", self._keys[1], CLIENT, peer)

    def client_is(self, client: Device) -> DeviceUpdate:
        """Return the update by which the server learns where the client is."""
        endpoint = Endpoint(LOOPBACK, client.listen_port)
        peer = PeerUpdate(self._keys[1].public(), update_only=True, endpoint=endpoint)
        return DeviceUpdate(peers=(peer,))

    def _network(
        self, name: str, key: Key, addresses: tuple[str, str], peer: PeerUpdate
    ) -> Network:
        lengths = (24, 64)
        own = [f"{host}/{length}" for host, length in zip(addresses, lengths, strict=True)]
        options = {"name": name, **self._options}
        return Network(private_key=key, addresses=own, peers=peer, **options)


def _hosts(addresses: tuple[str, str]) -> tuple[AllowedIP, ...]:
    return tuple(map(AllowedIP.parse, addresses))


LOOPBACK: Final = "127.0.0.1"

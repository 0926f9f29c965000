"""`socket.getaddrinfo` and `socket.create_connection`, with names looked up through a network.

The system converts numeric addresses, ports and services, for which it sends nothing. `blocking`
and `patch` use this.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import TYPE_CHECKING, Any, Final

from holloway.model import MAX_PORT
from holloway.net.stack import family_of
from holloway.text.address import is_localhost

if TYPE_CHECKING:
    from collections.abc import Callable

    from holloway.net.from_threads import FromThreads
    from holloway.net.network import Network

    Entry = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]
    """What `socket.getaddrinfo` returns a list of."""

# Under this name, because `patch` replaces the attribute.
_by_system: Final[Callable[..., list[Any]]] = socket.getaddrinfo

GLOBAL_DEFAULT_TIMEOUT: Final[Any] = socket._GLOBAL_DEFAULT_TIMEOUT  # type: ignore[attr-defined]
"""The default of `socket.create_connection`: the timeout of `socket.setdefaulttimeout`."""


async def getaddrinfo(  # noqa: PLR0913, PLR0917
    network: Network,
    host: str | bytes | None,
    port: str | bytes | int | None,
    family: int = 0,
    type: int = 0,  # noqa: A002
    proto: int = 0,
    flags: int = 0,
) -> list[Entry]:
    """Return what `socket.getaddrinfo` returns; raises socket.gaierror.

    `localhost` and the name of this machine are known without a name server: they are the loopback
    addresses and the network's own.
    """
    _check_port(port)
    # AI_ADDRCONFIG is about the addresses of the machine, not about those of the network.
    for_system = flags & ~socket.AI_ADDRCONFIG | socket.AI_NUMERICHOST
    try:
        return _by_system(host, port, family, type, proto, for_system)
    except UnicodeError:
        pass  # too long for a name, or the like: the resolver reports it as a gaierror
    except socket.gaierror as error:
        if error.errno != socket.EAI_NONAME or not host or flags & socket.AI_NUMERICHOST:
            raise
    assert host is not None
    name = host.decode() if isinstance(host, bytes) else host
    addresses = await _addresses(network, name, family)
    if flags & socket.AI_ADDRCONFIG:
        own = {family_of(address) for address in network.addresses}
        addresses = [each for each in addresses if family_of(each) in own] or addresses
    for_system &= ~socket.AI_CANONNAME
    entries = [
        entry
        for address in addresses
        for entry in _by_system(address, port, family, type, proto, for_system)
    ]
    if flags & socket.AI_CANONNAME:
        entries[0] = (*entries[0][:3], name, entries[0][4])
    return entries


def create_connection(
    network: FromThreads,
    address: tuple[Any, ...],
    timeout: float | None,
    source_address: tuple[Any, ...] | None,
    *,
    all_errors: bool,
) -> socket.socket:
    """Try each address of a name, as `socket.create_connection` does; raises its errors."""
    limit = socket.getdefaulttimeout() if timeout is GLOBAL_DEFAULT_TIMEOUT else timeout
    failures: list[Exception] = []
    for family, *_, found in network.run(_within(limit, network.network, *address[:2])):
        try:
            source = _source(network, source_address, family)
            return network.connect(*found[:2], source_address=source, timeout=limit)
        except OSError as error:
            if not all_errors:
                failures.clear()  # the last one is raised
            failures.append(error)
    try:
        if all_errors:
            raise ExceptionGroup("create_connection failed", failures)
        raise failures[0]
    finally:
        failures.clear()  # they refer to this frame


async def _within(limit: float | None, network: Network, host: Any, port: Any) -> list[Entry]:
    try:
        async with asyncio.timeout(limit):
            return await getaddrinfo(network, host, port, 0, socket.SOCK_STREAM)
    except TimeoutError as error:
        if error.strerror:
            raise
        raise TimeoutError(errno.ETIMEDOUT, f"looking up {host} took too long") from None


def _source(
    network: FromThreads, source: tuple[Any, ...] | None, family: int
) -> tuple[str, int] | None:
    """Return the address to bind to; an empty host is every address of the family."""
    if source is None or source[:2] == ("", 0):
        return None
    host, port = source[:2]
    flags = 0 if host else socket.AI_PASSIVE
    found = network.run(
        getaddrinfo(network.network, host or None, port, family, socket.SOCK_STREAM, 0, flags)
    )
    return found[0][4][:2]


async def _addresses(network: Network, name: str, family: int) -> list[str]:
    known: tuple[str, ...]
    if is_localhost(name):
        known = LOOPBACK
    elif name.removesuffix(".").lower() == socket.gethostname().lower():
        known = network.addresses
    else:
        return await network.resolve(name, family=family)
    found = [address for address in known if family in {0, family_of(address)}]
    if not found:
        raise socket.gaierror(socket.EAI_NONAME, f"Name or service not known: {name}")
    return found


def _check_port(port: str | bytes | int | None) -> None:
    """Refuse what libc would take modulo 65536."""
    if isinstance(port, str | bytes):
        port = int(port) if port.isdigit() else None
    if port is not None and not 0 <= port <= MAX_PORT:
        raise OverflowError("port must be 0-65535")


LOOPBACK: Final = ("127.0.0.1", "::1")

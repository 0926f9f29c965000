"""Checks the arguments that a program passes to a network: hosts, ports and addresses.

What has only one meaning is accepted as sockets accept it, a port as text for example. All else
raises an error that names the argument, before it reaches a stack.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address
from operator import index
from typing import TYPE_CHECKING, Final

from holloway.errors import ConfigError
from holloway.model import MAX_PORT

if TYPE_CHECKING:
    from holloway.net.stack import Address


class PortError(ConfigError, OverflowError):
    """A port is out of range; an OverflowError, as sockets raise."""


def checked_host(host: object, name: str = "host") -> str:
    """Return a host as text: a name or an address; raises TypeError and ConfigError."""
    if isinstance(host, IPv4Address | IPv6Address):
        return str(host)
    if isinstance(host, bytes):
        host = host.decode("ascii", "surrogateescape")
    if not isinstance(host, str):
        raise TypeError(f"{name} is a name or an address, not {kind_of(host)}")
    if not host:
        raise ConfigError("give a name or an address; this is empty", key=name)
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def checked_port(port: object, name: str = "port") -> int:
    """Return a port's number, also that of a service; raises TypeError and ConfigError."""
    if isinstance(port, str):
        number = _service(port, name)
    else:
        try:
            number = index(port)  # type: ignore[arg-type]
        except TypeError:
            raise TypeError(
                f"{name} is a number from 0 to {MAX_PORT}, not {kind_of(port)}"
            ) from None
    if not 0 <= number <= MAX_PORT:
        raise PortError(f"{number} is not from 0 to {MAX_PORT}", key=name)
    return number


def checked_address(address: object, name: str) -> Address | None:
    """Return a host and a port, or None; an empty host stands for all our addresses."""
    if address is None:
        return None
    if not isinstance(address, tuple | list) or len(address) < 2:
        example = '("10.0.0.2", 0)'
        raise TypeError(f"{name} is a host and a port, as {example}, not {kind_of(address)}")
    host, port = address[:2]
    return checked_host(host, name) if host else "", checked_port(port, name)


def kind_of(value: object) -> str:
    """Name the type of a wrong value; not the value, which may be a secret."""
    return "None" if value is None else type(value).__name__


def _service(text: str, name: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS:
        return int(text)
    try:
        return socket.getservbyname(text)
    except (OSError, ValueError):
        raise ConfigError(f"`{text}' is neither a number nor a known service", key=name) from None


_MAX_DIGITS: Final = 9

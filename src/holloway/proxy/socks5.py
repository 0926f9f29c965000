"""The messages of SOCKS5 (RFC 1928) and of its username and password method (RFC 1929).

Pure: bytes to values and back. The parsers take the bytes so far, and return None while they are
too few, or the value and its length; they raise `BadMessage`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Final

from holloway.errors import BadMessage

VERSION: Final = 5
PASSWORD_VERSION: Final = 1
UNKNOWN_HOST: Final = "0.0.0.0"  # noqa: S104  # for answers without an address


class Method(IntEnum):
    """An authentication method."""

    NONE = 0
    PASSWORD = 2
    NONE_ACCEPTABLE = 0xFF


class Command(IntEnum):
    """The command of a request."""

    CONNECT = 1
    BIND = 2
    ASSOCIATE = 3


class Reply(IntEnum):
    """The code of an answer."""

    SUCCEEDED = 0
    FAILURE = 1
    NOT_ALLOWED = 2
    NETWORK_UNREACHABLE = 3
    HOST_UNREACHABLE = 4
    REFUSED = 5
    EXPIRED = 6
    COMMAND_UNKNOWN = 7
    ADDRESS_UNKNOWN = 8


@dataclass(frozen=True, slots=True)
class Request:
    """A command and its address."""

    command: int
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Datagram:
    """A datagram to `host`, or from it."""

    host: str
    port: int
    payload: bytes


class AddressUnknown(BadMessage):
    """An address of an unknown type."""


def read_greeting_untrusted(data: bytes) -> tuple[frozenset[int], int] | None:
    """Parse the methods that a client offers."""
    if data[:1] not in (b"", b"\x05"):
        raise BadMessage(f"not SOCKS5: the first byte is {data[0]}")
    if len(data) < 2 or len(data) < 2 + data[1]:
        return None
    size = 2 + data[1]
    return frozenset(data[2:size]), size


def read_credentials_untrusted(data: bytes) -> tuple[tuple[bytes, bytes], int] | None:
    """Parse a user's name and password."""
    if data[:1] not in (b"", b"\x01"):
        raise BadMessage(f"credentials of an unknown version {data[0]}")
    if len(data) < 2 or len(data) < 3 + data[1]:
        return None
    start = 3 + data[1]
    size = start + data[start - 1]
    if len(data) < size:
        return None
    return (data[2 : start - 1], data[start:size]), size


def read_request_untrusted(data: bytes) -> tuple[Request, int] | None:
    """Parse a request; raises `AddressUnknown` too, which has an answer of its own."""
    if data[:1] not in (b"", b"\x05"):
        raise BadMessage(f"a request of an unknown version {data[0]}")
    if len(data) < 4:
        return None
    found = _read_address_untrusted(data, 3)
    if found is None:
        return None
    host, port, size = found
    return Request(data[1], host, port), size


def read_datagram_untrusted(data: bytes) -> Datagram:
    """Parse a datagram with its header; fragments are optional (RFC 1928, 7) and refused."""
    if len(data) < 4:
        raise BadMessage("a datagram without a header")
    if data[2]:
        raise BadMessage("a fragment")
    found = _read_address_untrusted(data, 3)
    if found is None:
        raise BadMessage("a datagram shorter than its header")
    host, port, size = found
    return Datagram(host, port, data[size:])


def write_method(method: Method) -> bytes:
    """Write the chosen method."""
    return bytes((VERSION, method))


def write_verdict(*, is_right: bool) -> bytes:
    """Write whether the credentials are right."""
    return bytes((PASSWORD_VERSION, 0 if is_right else 1))


def write_reply(reply: Reply, host: str = UNKNOWN_HOST, port: int = 0) -> bytes:
    """Write the answer to a request; `host` is numeric."""
    return bytes((VERSION, reply, 0)) + write_address(host, port)


def write_datagram(datagram: Datagram) -> bytes:
    """Write a datagram with its header."""
    return b"\0\0\0" + write_address(datagram.host, datagram.port) + datagram.payload


def write_address(host: str, port: int) -> bytes:
    """Write an address in the format of SOCKS5: IPv4, IPv6 or a name."""
    family = AF_INET6 if ":" in host else AF_INET
    try:
        packed = inet_pton(family, host.partition("%")[0])
    except OSError:
        name = host.encode("ascii")
        return bytes((_NAME, len(name))) + name + port.to_bytes(2, "big")
    return bytes((_IPV6 if family == AF_INET6 else _IPV4,)) + packed + port.to_bytes(2, "big")


def _read_address_untrusted(data: bytes, start: int) -> tuple[str, int, int] | None:
    """Parse type, address and port; returns host, port and the end's offset."""
    kind, start = data[start], start + 1
    if kind == _NAME:
        if len(data) <= start:
            return None
        length, start = data[start], start + 1
    elif kind in _LENGTHS:
        length = _LENGTHS[kind]
    else:
        raise AddressUnknown(f"an address of unknown type {kind}")
    end = start + length
    if len(data) < end + 2:
        return None
    host = _host_untrusted(kind, data[start:end])
    return host, int.from_bytes(data[end : end + 2], "big"), end + 2


def _host_untrusted(kind: int, raw: bytes) -> str:
    if kind == _IPV4:
        return inet_ntop(AF_INET, raw)
    if kind == _IPV6:
        return inet_ntop(AF_INET6, raw)
    return name_untrusted(raw)


def name_untrusted(raw: bytes) -> str:
    """Parse a host's name; only characters that are valid in one, and safe in a log."""
    if not raw or len(raw) > _NAME_LENGTH or not set(raw) <= _NAME_BYTES:
        raise BadMessage("a name that no host can have")
    return raw.decode("ascii")


_IPV4: Final = 1
_NAME: Final = 3
_IPV6: Final = 4
_LENGTHS: Final = {_IPV4: 4, _IPV6: 16}
_NAME_LENGTH: Final = 253  # RFC 1035, 2.3.4, as text without the root's dot
_NAME_BYTES: Final = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._:%"
)
"""Of names, and of IPv6 addresses with a zone, which curl sends as names."""

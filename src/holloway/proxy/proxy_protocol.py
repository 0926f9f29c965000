"""The header of the PROXY protocol, versions 1 and 2: who a connection is from, before its bytes.

As in HAProxy's specification, sections 2.1 and 2.2. Pure; `forward` sends it.
"""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from holloway.proxy.address import Address

Version = Literal[1, 2]


def header(version: Version, source: Address, destination: Address) -> bytes:
    """Return the header of a TCP connection; both addresses are numeric and of one family."""
    from_host, to_host = (ip_address(host.partition("%")[0]) for host, _ in (source, destination))
    ports = source[1], destination[1]
    if version == 1:
        words = f"PROXY TCP{from_host.version} {from_host} {to_host} {ports[0]} {ports[1]}\r\n"
        return words.encode("ascii")
    family = TCP_OVER_IPV4 if from_host.version == 4 else TCP_OVER_IPV6
    addresses = from_host.packed + to_host.packed + PORTS.pack(*ports)
    return SIGNATURE + START.pack(VERSION_2_PROXY, family, len(addresses)) + addresses


SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
START: Final = struct.Struct(">BBH")  # version and command, family and protocol, length
PORTS: Final = struct.Struct(">HH")
VERSION_2_PROXY: Final = 0x21
TCP_OVER_IPV4: Final = 0x11
TCP_OVER_IPV6: Final = 0x21

"""A topology as plain data: who is there, how they are connected, which tunnels, what to try.

Knows nothing of namespaces or processes; `build` makes hosts of it, `topologies` has some.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Port:
    """An interface of a host, and its addresses with their prefix lengths, blank-separated."""

    host: str
    interface: str
    addresses: str


@dataclass(frozen=True, slots=True)
class Network:
    """Ports that hear each other: a cable for two.

    For more, the first port is a bridge which the others are plugged into, as in a home router.
    """

    ports: tuple[Port, ...]
    mtu: int = 1500


@dataclass(frozen=True, slots=True)
class Tunnel:
    """An interface and the text of its file.

    `<private key of HOST>` and `<public key of HOST>` stand in it for what the hosts will make.
    """

    host: str
    interface: str
    config: str

    @property
    def private_key_file(self) -> str:
        """Name the key's file: what the configuration's own hook reads, if it has one."""
        return f"{self.interface}.key" if self._has_hook else f"{self.interface}-private.key"

    @property
    def public_key_file(self) -> str:
        return f"{self.interface}.pub" if self._has_hook else f"{self.interface}-public.key"

    @property
    def _has_hook(self) -> bool:
        return "/%i.key" in self.config


@dataclass(frozen=True, slots=True)
class Step:
    """A command to type in a host, and what is to be learnt from it."""

    text: str
    host: str
    command: str


@dataclass(frozen=True, slots=True)
class Topology:
    """What a lab is built from, and what to try in it.

    Hosts are those that have a port; `gateways` has the default routes, HOST to addresses;
    `programs` are those that the steps need beyond what every lab does.
    """

    name: str
    summary: str
    diagram: str
    networks: tuple[Network, ...]
    gateways: Mapping[str, str]
    routers: frozenset[str]
    tunnels: tuple[Tunnel, ...]
    steps: tuple[Step, ...]
    programs: tuple[str, ...] = ()

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of all hosts, in the order in which they appear."""
        ports = (port.host for network in self.networks for port in network.ports)
        return tuple(dict.fromkeys(ports))

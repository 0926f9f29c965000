"""A topology as plain data: hosts, links, tunnels, and the commands to try.

Knows nothing of namespaces or processes: `build` builds a topology, and `topologies` defines some.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Port:
    """An interface of a host; `addresses` have prefix lengths and are separated by blanks."""

    host: str
    interface: str
    addresses: str


@dataclass(frozen=True, slots=True)
class Network:
    """Ports of one link.

    Two ports are a veth pair. If there are more, the first is a bridge that connects the others,
    as in a home router.
    """

    ports: tuple[Port, ...]
    mtu: int = 1500


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A WireGuard interface and the text of its file.

    `<private key of HOST>` and `<public key of HOST>` are placeholders for the hosts' keys.
    """

    host: str
    interface: str
    config: str

    @property
    def private_key_file(self) -> str:
        """The name of the private key's file; the configuration's hook reads it, if it has one."""
        return f"{self.interface}.key" if self._has_hook else f"{self.interface}-private.key"

    @property
    def public_key_file(self) -> str:
        return f"{self.interface}.pub" if self._has_hook else f"{self.interface}-public.key"

    @property
    def _has_hook(self) -> bool:
        return "/%i.key" in self.config


@dataclass(frozen=True, slots=True)
class Step:
    """A command to run on a host, and the explanation that is shown with it."""

    text: str
    host: str
    command: str


@dataclass(frozen=True, slots=True)
class Topology:
    """What a lab is built from, and the steps to try in it.

    The hosts are those with a port. `gateways` maps a host to the addresses of its default routes.
    `programs` are needed by the steps, beyond those that every lab needs.
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

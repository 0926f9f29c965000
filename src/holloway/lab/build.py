"""Builds a topology of namespaces: hosts, links, addresses, keys and configuration files.

A `Lab` brings no tunnel up; its users do, with `sh`. Used by `holloway lab` and the tests.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from holloway.lab.host import CONFIG_DIRECTORY, Host, join
from holloway.lab.topology import Port

if TYPE_CHECKING:
    import subprocess

    from holloway.lab.topology import Network, Topology, Tunnel


class Lab:
    """A running topology; a context manager."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.hosts = {name: Host(name) for name in topology.hosts}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for host in self.hosts.values():
                stack.enter_context(host)
            for network in self.topology.networks:
                self._connect(network)
            self._route()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __getitem__(self, host: str) -> Host:
        return self.hosts[host]

    def sh(
        self, host: str, command: str, *, check: bool = True, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a line of bash in a host, in /etc/wireguard.

        `wg` and `wg-quick` are those of this installation, even if the machine has others.
        """
        inside = f"cd {CONFIG_DIRECTORY}; {command}"
        return self.hosts[host].run(
            "bash", "-c", inside, check=check, timeout=timeout, environment=environment()
        )

    def make_keys(self) -> None:
        """Make the keys of each tunnel on its host, as the guide does."""
        for tunnel in self.topology.tunnels:
            private, public = tunnel.private_key_file, tunnel.public_key_file
            self.sh(
                tunnel.host, f"umask 077; wg genkey > {private}; wg pubkey < {private} > {public}"
            )

    def public_key(self, host: str) -> str:
        """Read the public key of a host's tunnel."""
        return self.sh(host, f"cat {self._tunnel(host).public_key_file}").stdout.strip()

    def configure(self, host: str, config: str | None = None, interface: str = "") -> None:
        """Write the file of a host's tunnel, or another text, with the keys filled in."""
        tunnel = self._tunnel(host)
        text = self.with_public_keys(tunnel.config if config is None else config)
        place = f"<private key of {host}>"
        if place in text:
            private = self.sh(host, f"cat {tunnel.private_key_file}").stdout.strip()
            text = text.replace(place, private)
        self.hosts[host].write(CONFIG_DIRECTORY / f"{interface or tunnel.interface}.conf", text)

    def with_public_keys(self, config: str) -> str:
        """Fill in the public keys, and leave the places of private keys."""
        for tunnel in self.topology.tunnels:
            place = f"<public key of {tunnel.host}>"
            if place in config:
                config = config.replace(place, self.public_key(tunnel.host))
        return config

    def _tunnel(self, host: str) -> Tunnel:
        return next(tunnel for tunnel in self.topology.tunnels if tunnel.host == host)

    def _connect(self, network: Network) -> None:
        first, *others = network.ports
        if len(others) == 1:
            self._add_veth_pair(first, others[0])
        else:
            self[first.host].run("ip", "link", "add", first.interface, "type", "bridge")
            self[first.host].run("ip", "link", "set", first.interface, "up")
            for port in others:
                bridge_port = Port(first.host, f"to-{port.host}", "")
                self._add_veth_pair(bridge_port, port)
                self[bridge_port.host].run(
                    "ip", "link", "set", bridge_port.interface, "master", first.interface
                )
        for port in network.ports:
            self._address(port, network.mtu)

    def _add_veth_pair(self, first: Port, second: Port) -> None:
        join(
            self[first.host],
            self[second.host],
            first_name=first.interface,
            second_name=second.interface,
        )

    def _address(self, port: Port, mtu: int) -> None:
        commands = [f"link set {port.interface} mtu {mtu}"]
        for address in port.addresses.split():
            # Without duplicate address detection, which delays an IPv6 address by a second.
            fresh = " nodad" if ":" in address else ""
            commands.append(f"address add {address} dev {port.interface}{fresh}")
        self[port.host].run("ip", "-batch", "-", stdin="\n".join(commands) + "\n")

    def _route(self) -> None:
        for host, gateways in self.topology.gateways.items():
            for gateway in gateways.split():
                self[host].run("ip", "route", "add", "default", "via", gateway)
        for router in self.topology.routers:
            for path in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
                self[router].run("sh", "-c", f"echo 1 >/proc/sys/net/{path}")


def environment() -> dict[str, str]:
    """Return the variables of a command in a lab: this installation's tools come first in PATH."""
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": f"{Path(sys.executable).parent}:{path}"}

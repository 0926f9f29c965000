"""Any program inside a network: the command that starts it there, and its resolv.conf.

`holloway-namespace run` enters the private namespace and executes the program, which is therefore
a child of the process that starts it. Used by `holloway run`; knows no terminal and no arguments.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from holloway.net.namespace import PROGRAM
from holloway.text.address import numeric

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ipaddress import IPv4Address, IPv6Address

    from holloway.net.network import Network


@dataclass(frozen=True, slots=True)
class ResolvConf:
    """The resolv.conf of a program; `note` is a remark on it for the user."""

    text: str
    note: str | None = None


def command_inside(
    network: Network,
    command: Sequence[str],
    resolv_conf: ResolvConf,
    end: signal.Signals,
    first_lookup: int | None = None,
) -> tuple[list[str], list[int]]:
    """Wrap a command so that it runs inside; the wrapper has to inherit the descriptors returned.

    `network` has the kernel's stack. The command gets `end` when this process ends before it.
    `first_lookup` is the descriptor of a `FirstLookup`. Exit status 127 means that the command was
    not found, 126 that it cannot be run, 125 that the wrapper failed.
    """
    assert network.helper is not None
    reading, writing = os.pipe()
    try:
        os.write(writing, resolv_conf.text.encode(errors="surrogateescape"))
    finally:
        os.close(writing)
    watches = [] if first_lookup is None else [os.dup(first_lookup)]
    numbers = (network.helper, os.getpid(), int(end), reading, *(watches or [NO_WATCH]))
    return [str(PROGRAM), "run", *map(str, numbers), *command], [reading, *watches]


def resolv_conf(network: Network) -> ResolvConf:
    """Return the name servers of the configuration, or the system's if it has none."""
    if not network.name_servers:
        return _of_system(network, _system_text())
    lines = [f"# {network.name}: DNS of the configuration"]
    lines += [f"nameserver {server}" for server in network.name_servers]
    domains = [domain for domain in network.search_domains if not domain.startswith("~")]
    if domains:
        lines.append(f"search {' '.join(domains)}")
    return ResolvConf("".join(f"{line}\n" for line in lines))


def _of_system(network: Network, text: str) -> ResolvConf:
    servers = _servers(text)
    lost = [server for server, address in servers.items() if not network.has_peer_for(address)]
    says = f"DNS is not set: names are asked of the system's {', '.join(servers)}"
    if not servers:
        note = "DNS is not set, nor has the system a name server: names will not be found"
    elif lost == list(servers):
        note = f"{says}, which no peer has in AllowedIPs: names will not be found"
    else:
        note = f"{says}, through the tunnel"
    return ResolvConf(text[:MAX_TEXT], note)


def _system_text() -> str:
    """Return the system's resolv.conf, or the servers behind its local resolver."""
    text = _read(SYSTEM)
    servers = _servers(text)
    if servers and all(address.is_loopback for address in servers.values()):
        return _read(BEHIND_RESOLVED) or text
    return text


def _servers(text: str) -> dict[str, IPv4Address | IPv6Address]:
    words = [line.split() for line in text.splitlines()]
    named = [each[1] for each in words if len(each) > 1 and each[0] == "nameserver"]
    numbers = {server: numeric(server.partition("%")[0]) for server in named}
    return {server: number for server, number in numbers.items() if number is not None}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


SYSTEM: Final = Path("/etc/resolv.conf")
BEHIND_RESOLVED: Final = Path("/run/systemd/resolve/resolv.conf")
NO_WATCH: Final = -1
MAX_TEXT: Final = 1 << 15  # less than a pipe holds

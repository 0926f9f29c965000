"""The firewall of an interface that takes the default route: by nft, or by iptables without nft.

It does two things (wg-quick(8), and CVE-2019-14899): a packet to an address of the interface that
arrives by another one is dropped, unless this host sent it; and the device's mark is saved with its
connections, so that the check of source addresses recognizes the answers to its packets.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from holloway.netlink import nf_tables
from holloway.quick import programs

if TYPE_CHECKING:
    from holloway.netlink.route import Interface
    from holloway.quick.steps import Host, Step


@dataclass(frozen=True, slots=True)
class LoadRuleset:
    """Load one family's rules with nft in one transaction, replacing those of the same name."""

    name: str
    version: int
    mark: int
    addresses: tuple[Interface, ...]

    @property
    def text(self) -> str:
        return "nft -f /dev/fd/63"

    def apply(self, host: Host) -> None:
        programs.run_program(["nft", "-f", "-"], host.interrupts, self.ruleset)

    def inverse(self, host: Host) -> Step | None:
        return next(iter(removal(self.name, (self.version,))), None)

    @property
    def ruleset(self) -> str:
        """The commands for nft."""
        family = _FAMILIES[self.version]
        table = f"table {family} {table_name(self.name)}"
        drops = "".join(
            f'iifname != "{self.name}" {family} daddr {address.ip} fib saddr type != local drop\n'
            for address in self.addresses
        )
        # Declared before it is deleted, because it may not exist.
        return f"""\
{table}
delete {table}
{table} {{
chain preraw {{
type filter hook prerouting priority -300
{drops}}}
chain premangle {{
type filter hook prerouting priority -150
meta l4proto udp meta mark set ct mark
}}
chain postmangle {{
type filter hook postrouting priority -150
meta l4proto udp mark {self.mark} ct mark set mark
}}
}}
"""


@dataclass(frozen=True, slots=True)
class DeleteTables:
    """Delete tables with nft in one transaction; each is `ip NAME` or `ip6 NAME`."""

    tables: tuple[str, ...]

    @property
    def text(self) -> str:
        return "nft -f /dev/fd/63"

    def apply(self, host: Host) -> None:
        commands = "".join(f"delete table {table}\n" for table in self.tables)
        programs.run_program(["nft", "-f", "-"], host.interrupts, commands)


@dataclass(frozen=True, slots=True)
class RestoreRules:
    """Load rules with iptables-restore; `is_removal` if they delete rules."""

    name: str
    version: int
    rules: str
    is_removal: bool = False

    @property
    def text(self) -> str:
        return f"{self._program}-restore -n"

    @property
    def _program(self) -> str:
        return _PROGRAMS[self.version]

    def apply(self, host: Host) -> None:
        if not self.is_removal:
            # Rules of the same name are replaced, as nft's are.
            for step in _iptables_removal(self.name, self.version):
                step.apply(host)
        programs.run_program([f"{self._program}-restore", "-n"], host.interrupts, self.rules)

    def inverse(self, host: Host) -> Step | None:
        if self.is_removal:
            return None
        return next(iter(_iptables_removal(self.name, self.version)), None)


@dataclass(frozen=True, slots=True)
class RemoveRules:
    """Remove all rules of one family of an interface."""

    name: str
    version: int
    nft: bool

    @property
    def text(self) -> str:
        return "nft -f /dev/fd/63" if self.nft else f"{_PROGRAMS[self.version]}-restore -n"

    def apply(self, host: Host) -> None:
        for step in removal(self.name, (self.version,)):
            step.apply(host)


def load(name: str, version: int, mark: int, addresses: Sequence[Interface], *, nft: bool) -> Step:
    """Make the step that loads the rules of one family."""
    own = tuple(address for address in addresses if address.version == version)
    if nft:
        return LoadRuleset(name, version, mark, own)
    comment = _comment(name)
    drops = "".join(
        f"-I PREROUTING ! -i {name} -d {address.ip}"
        f" -m addrtype ! --src-type LOCAL -j DROP {comment}\n"
        for address in own
    )
    marks = (
        f"-I POSTROUTING -m mark --mark {mark} -p udp -j CONNMARK --save-mark {comment}\n"
        f"-I PREROUTING -p udp -j CONNMARK --restore-mark {comment}\n"
    )
    return RestoreRules(name, version, f"*raw\n{drops}COMMIT\n*mangle\n{marks}COMMIT\n")


def removal(name: str, versions: Sequence[int] = (4, 6)) -> list[Step]:
    """Find the rules of an interface, and make the steps that remove them."""
    found = nf_tables.tables()
    own = table_name(name)
    tables = tuple(
        f"{_FAMILIES[version]} {own}" for version in versions if (_NFPROTO[version], own) in found
    )
    steps: list[Step] = []
    if tables and programs.find_program("nft") is not None:
        steps.append(DeleteTables(tables))
    for version in versions:
        if _has_iptables(version, found):
            steps += _iptables_removal(name, version)
    return steps


def _has_iptables(version: int, tables: Sequence[tuple[int, str]]) -> bool:
    """Whether iptables can have rules: as tables of nftables, or its own, which a file lists."""
    if any(family == _NFPROTO[version] and name in _TABLES for family, name in tables):
        return True
    try:
        return Path(_LEGACY_TABLES[version]).read_text() != ""
    except OSError:
        return False


def table_name(interface: str) -> str:
    """The name of an interface's tables; nft knows no "=" and "+" in names."""
    return "wg-quick-" + re.sub(r"[=+]", "_", interface)


def _iptables_removal(name: str, version: int) -> list[Step]:
    program = f"{_PROGRAMS[version]}-save"
    if programs.find_program(program) is None:
        return []
    lines = []
    for line in programs.output([program]).splitlines():
        if line.startswith("-A ") and _comment(name) in line:
            lines.append("-D " + line.removeprefix("-A "))
        elif line.startswith("*") or line == "COMMIT":
            lines.append(line)
    if not any(line.startswith("-D") for line in lines):
        return []
    return [RestoreRules(name, version, "".join(f"{line}\n" for line in lines), is_removal=True)]


def _comment(name: str) -> str:
    return f'-m comment --comment "wg-quick(8) rule for {name}"'


_FAMILIES: Final = {4: "ip", 6: "ip6"}
_NFPROTO: Final = {4: nf_tables.NFPROTO_IPV4, 6: nf_tables.NFPROTO_IPV6}
_TABLES: Final = frozenset({"raw", "mangle"})  # iptables' that the rules are in
_LEGACY_TABLES: Final = {4: "/proc/net/ip_tables_names", 6: "/proc/net/ip6_tables_names"}
_PROGRAMS: Final = {4: "iptables", 6: "ip6tables"}

"""The firewall of an interface that takes the default route: nft's, or iptables' where nft is not.

It does two things (wg-quick(8), and CVE-2019-14899): a packet to an address of the interface that
comes in by another one is dropped, unless this host sent it; and the device's mark is kept with
its connections, so that the check of source addresses knows the answers to its packets.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from holloway.netlink.route import Interface
from holloway.quick import programs
from holloway.quick.steps import Host, Step


@dataclass(frozen=True, slots=True)
class LoadRuleset:
    """Load one family's rules with nft, all at once, in the place of those of the same name."""

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
        """What nft reads."""
        family = _FAMILIES[self.version]
        table = f"table {family} {table_name(self.name)}"
        drops = "".join(
            f'iifname != "{self.name}" {family} daddr {address.ip} fib saddr type != local drop\n'
            for address in self.addresses
        )
        # Named before it is deleted, so that it need not be there.
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
    """Delete tables with nft, all at once; each is given as `ip NAME` or `ip6 NAME`."""

    tables: tuple[str, ...]

    @property
    def text(self) -> str:
        return "nft -f /dev/fd/63"

    def apply(self, host: Host) -> None:
        commands = "".join(f"delete table {table}\n" for table in self.tables)
        programs.run_program(["nft", "-f", "-"], host.interrupts, commands)


@dataclass(frozen=True, slots=True)
class RestoreRules:
    """Hand rules to iptables-restore; `is_removal` tells whether they take rules away."""

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
            # Those of the same name make way, as nft's do.
            for step in _iptables_removal(self.name, self.version):
                step.apply(host)
        programs.run_program([f"{self._program}-restore", "-n"], host.interrupts, self.rules)

    def inverse(self, host: Host) -> Step | None:
        if self.is_removal:
            return None
        return next(iter(_iptables_removal(self.name, self.version)), None)


@dataclass(frozen=True, slots=True)
class RemoveRules:
    """Remove whatever rules of one family an interface has."""

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
    """Look what rules there are for an interface, and make the steps that remove them."""
    steps: list[Step] = []
    wanted = {f"{_FAMILIES[version]} {table_name(name)}" for version in versions}
    listed = programs.output(["nft", "list", "tables"]) if programs.find_program("nft") else ""
    found = [line.removeprefix("table ") for line in listed.splitlines()]
    tables = tuple(table for table in found if table in wanted)
    if tables:
        steps.append(DeleteTables(tables))
    for version in versions:
        steps += _iptables_removal(name, version)
    return steps


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
_PROGRAMS: Final = {4: "iptables", 6: "ip6tables"}

"""Steps of policy routing: rules, the device's mark, and the check of source addresses.

Which of them take the default route is decided by `default_route`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holloway.model import DeviceUpdate
from holloway.netlink.route import TABLE_MAIN, Rule
from holloway.quick.facts import VALID_MARK

if TYPE_CHECKING:
    from holloway.quick.steps import Host


@dataclass(frozen=True, slots=True)
class AddRule:
    """Add a rule of policy routing."""

    rule: Rule

    @property
    def text(self) -> str:
        condition = "" if self.rule.unless_mark is None else f"not fwmark {self.rule.unless_mark} "
        return f"ip -{self.rule.version} rule add {condition}{_lookup(self.rule)}"

    def apply(self, host: Host) -> None:
        host.netlink.add_rule(self.rule)


@dataclass(frozen=True, slots=True)
class DeleteRule:
    """Delete the first rule that is like this one."""

    rule: Rule

    @property
    def text(self) -> str:
        return f"ip -{self.rule.version} rule delete {_lookup(self.rule)}"

    def apply(self, host: Host) -> None:
        host.netlink.delete_rule(self.rule)


@dataclass(frozen=True, slots=True)
class SetFwmark:
    """Have the device mark its packets, so that they are not routed into it."""

    name: str
    mark: int

    @property
    def text(self) -> str:
        return f"wg set {self.name} fwmark {self.mark or 'off'}"

    def apply(self, host: Host) -> None:
        host.find(self.name).set(DeviceUpdate(fwmark=self.mark))


@dataclass(frozen=True, slots=True)
class SetValidMark:
    """Have the kernel's check of source addresses respect marks (Linux, ip-sysctl)."""

    value: bool = True

    @property
    def text(self) -> str:
        return f"sysctl -q net.ipv4.conf.all.src_valid_mark={int(self.value)}"

    def apply(self, host: Host) -> None:
        VALID_MARK.write_text(f"{int(self.value)}\n")


def _lookup(rule: Rule) -> str:
    table = "main" if rule.table == TABLE_MAIN else str(rule.table)
    return f"table {table}" + (" suppress_prefixlength 0" if rule.suppress_default else "")

"""Name servers while an interface is up: by resolvconf, else by resolvectl, else by a private file.

The private file is mounted over /etc/resolv.conf, so that the original is untouched and comes back
by itself; see `resolv_conf`. Which tool is used is a fact of the host.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from holloway.quick import programs, resolv_conf
from holloway.quick.facts import DnsTool
from holloway.quick.steps import Host, Reordered, Restorable, Step


@dataclass(frozen=True, slots=True)
class Servers:
    """Name servers, and the domains in which short names are looked up."""

    addresses: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()

    @classmethod
    def parse(cls, values: Iterable[str]) -> Self:
        """Sort the values of `DNS`, as upstream does by what they look like."""
        values = tuple(values)
        return cls(
            tuple(each for each in values if _ADDRESS.fullmatch(each)),
            tuple(each for each in values if not _ADDRESS.fullmatch(each)),
        )

    @property
    def text(self) -> str:
        """The lines of resolv.conf(5) for them."""
        lines = [f"nameserver {address}" for address in self.addresses]
        if self.domains:
            lines.append(f"search {' '.join(self.domains)}")
        return "".join(f"{line}\n" for line in lines)


def add(name: str, servers: Servers, tool: DnsTool) -> list[Step]:
    """Use these servers and no others. Domains without a server are ignored, as upstream does."""
    if not servers.addresses:
        return []
    match tool:
        case DnsTool.RESOLVCONF:
            return [Resolvconf(name, servers)]
        case DnsTool.RESOLVECTL:
            # "~." means to resolved what -x means to resolvconf: all names go to these servers.
            domains = ("domain", name, "~.", *servers.domains)
            return [Resolvectl(name, ("dns", name, *servers.addresses)), Resolvectl(name, domains)]
        case DnsTool.FILE:
            return [resolv_conf.ReplaceResolvConf(name, servers.text)]


def remove(name: str, servers: Servers, tool: DnsTool) -> list[Step]:
    """Undo what `add` did, whichever tools have been installed or removed since."""
    if resolv_conf.is_replaced_for(name):
        return [resolv_conf.RestoreResolvConf(name)]
    if not servers.addresses or tool is DnsTool.FILE:
        return []
    return [ResolvconfDelete(name)] if tool is DnsTool.RESOLVCONF else [ResolvectlRevert(name)]


def change(name: str, old: Servers, new: Servers, tool: DnsTool) -> list[Step]:
    """Change from some servers to others, or to none."""
    if old == new or not (old.addresses or new.addresses):
        return []
    ahead, back = (add(name, servers, tool) or [_REMOVE[tool](name)] for servers in (new, old))
    return [Restorable(_all(ahead), _all(back))]


def _all(steps: list[Step]) -> Step:
    return Reordered(printed=tuple(steps), applied=tuple(steps))


@dataclass(frozen=True, slots=True)
class Resolvconf:
    """Have resolvconf(8) use an interface's servers before all others' and exclusively."""

    name: str
    servers: Servers

    @property
    def text(self) -> str:
        return " ".join(self._command)

    @property
    def _command(self) -> list[str]:
        return ["resolvconf", "-a", _resolvconf_name(self.name), "-m", "0", "-x"]

    def apply(self, host: Host) -> None:
        programs.run_program(self._command, host.interrupts, self.servers.text)

    def inverse(self, host: Host) -> Step | None:
        return ResolvconfDelete(self.name)


@dataclass(frozen=True, slots=True)
class ResolvconfDelete:
    """Have resolvconf(8) forget an interface."""

    name: str

    @property
    def text(self) -> str:
        return f"resolvconf -d {_resolvconf_name(self.name)} -f"

    def apply(self, host: Host) -> None:
        programs.run_program(self.text.split(), host.interrupts)


@dataclass(frozen=True, slots=True)
class Resolvectl:
    """Set one property of an interface in systemd-resolved."""

    name: str
    words: tuple[str, ...]

    @property
    def text(self) -> str:
        return " ".join(("resolvectl", *self.words))

    def apply(self, host: Host) -> None:
        programs.run_program(["resolvectl", *self.words], host.interrupts)

    def inverse(self, host: Host) -> Step | None:
        # One revert undoes all settings.
        return ResolvectlRevert(self.name) if self.words[0] == "dns" else None


@dataclass(frozen=True, slots=True)
class ResolvectlRevert:
    """Have systemd-resolved forget the settings of an interface."""

    name: str

    @property
    def text(self) -> str:
        return f"resolvectl revert {self.name}"

    def apply(self, host: Host) -> None:
        programs.run_program(self.text.split(), host.interrupts)


def is_search_domain(value: str) -> bool:
    """Whether a value of `DNS` can be a domain, and not an address with a mistake in it."""
    labels = value.removesuffix(".").split(".")
    return (
        not _ADDRESS.fullmatch(value)
        and len(value) <= NAME_MAX
        and all(_LABEL.fullmatch(label) for label in labels)
    )


def _resolvconf_name(name: str) -> str:
    """Return the name that resolvconf sorts by: with the first prefix of its order."""
    try:
        order = INTERFACE_ORDER.read_text(errors="replace").splitlines()
    except OSError:
        return name
    prefixes = (_PREFIX.fullmatch(line) for line in order)
    return next((f"{found[1]}.{name}" for found in prefixes if found is not None), name)


_REMOVE: Final[Mapping[DnsTool, Callable[[str], Step]]] = {
    DnsTool.RESOLVCONF: ResolvconfDelete,
    DnsTool.RESOLVECTL: ResolvectlRevert,
    DnsTool.FILE: resolv_conf.RestoreResolvConf,
}
INTERFACE_ORDER: Final = Path("/etc/resolvconf/interface-order")
NAME_MAX: Final = 254  # RFC 1035, 2.3.4, and a dot at the end
_ADDRESS: Final = re.compile(r"[0-9.]+|.*:.*")
_LABEL: Final = re.compile(r"~?[A-Za-z0-9_-]{1,63}")
_PREFIX: Final = re.compile(r"([A-Za-z0-9-]+)\*")

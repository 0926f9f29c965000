"""Steps on the network of an interface: addresses, MTU and routes.

Each does what one `ip` command does, and a step that is refused leaves nothing behind. Which of
them make up an `up` or a `reload` is decided by the plans.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holloway.netlink.route import Interface, Network, Route
    from holloway.quick.steps import Host


@dataclass(frozen=True, slots=True)
class AddAddress:
    """Give the interface an address; `written` is how the file spells it."""

    name: str
    written: str
    interface: Interface

    @property
    def text(self) -> str:
        return f"ip -{self.interface.version} address add {self.written} dev {self.name}"

    def apply(self, host: Host) -> None:
        host.netlink.add_address(self.name, self.interface)


@dataclass(frozen=True, slots=True)
class SetMtuUp:
    """Set the MTU and bring the interface up."""

    name: str
    mtu: int

    @property
    def text(self) -> str:
        return f"ip link set mtu {self.mtu} up dev {self.name}"

    def apply(self, host: Host) -> None:
        try:
            host.netlink.set_mtu_up(self.name, self.mtu)
        except OSError as error:
            # The kernel binds a device's port here, and refuses without naming it.
            if error.errno == errno.EADDRINUSE:
                from holloway.netlink.listen_port import port_in_use

                raise port_in_use(host.find(self.name).get().listen_port) from error
            raise


@dataclass(frozen=True, slots=True)
class AddRoutes:
    """Route networks into the interface; `table` is how the file names the table, if it does."""

    name: str
    routes: tuple[Route, ...]
    table: str | None = None

    @property
    def text(self) -> str:
        return _route_text("add", self.name, self.routes, self.table)

    def apply(self, host: Host) -> None:
        host.netlink.add_routes(self.name, self.routes)


@dataclass(frozen=True, slots=True)
class DeleteRoutes:
    """Delete the routes of networks into the interface."""

    name: str
    routes: tuple[Route, ...]
    table: str | None = None

    @property
    def text(self) -> str:
        return _route_text("delete", self.name, self.routes, self.table)

    def apply(self, host: Host) -> None:
        host.netlink.delete_routes(self.name, self.routes)


def _route_text(verb: str, name: str, routes: tuple[Route, ...], table: str | None) -> str:
    suffix = "" if table is None else f" table {table}"
    networks: list[Network] = [route.network for route in routes]
    return "\n".join(
        f"ip -{each.version} route {verb} {each} dev {name}{suffix}" for each in networks
    )

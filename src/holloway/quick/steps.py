"""What wg-quick does to a host, one step at a time.

A step knows the line that is printed for it (the `ip` or `wg` command that would do the same),
how to apply itself, and which step takes it back. It does not know why or when: that is `plan`.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from holloway.control import uapi
from holloway.errors import HollowayError
from holloway.model import DeviceUpdate
from holloway.quick import programs
from holloway.quick.interrupts import Interrupts
from holloway.quick.netlink import TABLE_MAIN, Interface, Netlink, Network

if TYPE_CHECKING:
    from holloway.control import Control


def say(line: str) -> None:
    """Tell the user; standard output belongs to `strip` and to hooks."""
    # Where nobody listens any more, the work still has to be done, or undone.
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class Host:
    """What steps act on."""

    netlink: Netlink
    interrupts: Interrupts
    find: Callable[[str], Control]


class Step(Protocol):
    """One change of the host."""

    @property
    def text(self) -> str:
        """The command that would do the same, as upstream prints it after `[#]`."""
        ...

    def apply(self, host: Host) -> None:
        """Do it; raises `OSError` or `HollowayError`."""
        ...


@runtime_checkable
class Undoable(Protocol):
    """A step whose effect does not go by itself, as addresses and routes go with their link."""

    def undo(self, host: Host) -> Step | None:
        """Tell the step that takes this one back; None where nothing is left to take back.

        Also asked of a step that failed half-way.
        """
        ...


@dataclass(frozen=True, slots=True)
class AddLink:
    """Make the interface: in the kernel, or by a program where the kernel has no WireGuard."""

    name: str

    @property
    def text(self) -> str:
        return f"ip link add {self.name} type wireguard"

    def apply(self, host: Host) -> None:
        try:
            host.netlink.add_wireguard(self.name)
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP or KERNEL_MODULE.exists():
                raise
            self._start_device(host)

    def _start_device(self, host: Host) -> None:
        program = os.environ.get("WG_QUICK_USERSPACE_IMPLEMENTATION") or DEVICE_PROGRAM
        if programs.find_program(program) is None:
            raise HollowayError(
                f"this kernel has no WireGuard module, and there is no program `{program}'"
            )
        say("[!] Missing WireGuard kernel module. Falling back to userspace implementation.")
        say(f"[#] {program} {self.name}")
        programs.run_program([program, self.name], host.interrupts)

    def undo(self, host: Host) -> Step | None:
        return None if host.netlink.link(self.name) is None else DeleteLink(self.name)


@dataclass(frozen=True, slots=True)
class DeleteLink:
    """Remove the interface, and with it its addresses and routes."""

    name: str

    @property
    def text(self) -> str:
        return f"ip link delete dev {self.name}"

    def apply(self, host: Host) -> None:
        link = host.netlink.link(self.name)
        host.netlink.delete_link(self.name)
        if link is not None and link.kind == "tun":
            self._await_device()

    def _await_device(self) -> None:
        """Wait until the device in user space, which ends without its link, has ended.

        Else it may remove the socket of the one that an `up` right after this starts. If it has
        only just begun, wireguard-go can miss that its link is gone; it ends as well when its
        socket is.
        """
        socket = Path(uapi.DIRECTORY, f"{self.name}{uapi.SUFFIX}")
        deadline = time.monotonic() + DEVICE_END_SECONDS
        while socket.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        socket.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Hook:
    """Let bash run what the user wrote for a phase, `PostUp` and the like."""

    phase: str
    command: str
    interface: str

    @property
    def text(self) -> str:
        return self.command

    def apply(self, host: Host) -> None:
        try:
            programs.run_hook(self.command, self.interface, host.interrupts)
        except programs.ProgramFailed as error:
            raise HollowayError(f"{self.phase}: {error}") from None


@dataclass(frozen=True, slots=True)
class Configure:
    """Give the device its keys and peers; `resolve` looks their endpoints' names up."""

    name: str
    resolve: Callable[[], DeviceUpdate] = field(repr=False)

    @property
    def text(self) -> str:
        return f"wg setconf {self.name} /dev/fd/63"

    def apply(self, host: Host) -> None:
        with host.interrupts.waiting():
            update = self.resolve()
        try:
            host.find(self.name).set(update)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise HollowayError(f"Unable to modify interface: {reason}") from error


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
        host.netlink.set_mtu_up(self.name, self.mtu)


@dataclass(frozen=True, slots=True)
class AddRoute:
    """Lead a network into the interface; `table` is how the file names the table, if it does."""

    name: str
    network: Network
    table: str | None = None
    table_number: int = TABLE_MAIN

    @property
    def text(self) -> str:
        suffix = "" if self.table is None else f" table {self.table}"
        return f"ip -{self.network.version} route add {self.network} dev {self.name}{suffix}"

    def apply(self, host: Host) -> None:
        host.netlink.add_route(self.name, self.network, self.table_number)


KERNEL_MODULE: Final = Path("/sys/module/wireguard")
DEVICE_PROGRAM: Final = "holloway-device"
DEVICE_END_SECONDS: Final = 1.0

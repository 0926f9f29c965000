"""Steps: what wg-quick does to a host, one at a time.

A step knows the line that is printed for it (the `ip` or `wg` command that would do the same),
how to apply itself, and which step undoes it. `plan` decides why and when. Here are the steps on
the device; those on its network are in `network_steps`, `policy_steps`, `firewall` and `dns`.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from holloway.control import uapi
from holloway.errors import HollowayError, without_keys
from holloway.quick import programs
from holloway.quick.facts import KERNEL_MODULE

if TYPE_CHECKING:
    from collections.abc import Callable

    from holloway.control import Control
    from holloway.model import DeviceUpdate
    from holloway.netlink.route import RouteSocket
    from holloway.quick.interrupts import Interrupts


def print_step(step: Step) -> None:
    """Print a step, as upstream prints the commands that it runs."""
    for line in step.text.split("\n"):
        print_message(f"[#] {line}")


def print_message(line: str) -> None:
    """Print a line for the user; standard output belongs to `strip` and to hooks."""
    # If standard error is closed, the work still has to be done, or undone.
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class Host:
    """The host that steps change."""

    netlink: RouteSocket
    interrupts: Interrupts
    find: Callable[[str], Control]


class Step(Protocol):
    """One change of the host."""

    @property
    def text(self) -> str:
        """The commands that would do the same, one a line, as upstream prints them after `[#]`."""
        ...

    def apply(self, host: Host) -> None:
        """Change the host; raises `OSError` or `HollowayError`."""
        ...


@runtime_checkable
class Undoable(Protocol):
    """A step that may leave something behind even if it fails or is interrupted."""

    def inverse(self, host: Host) -> Step | None:
        """Return the inverse step, or None if there is nothing to undo."""
        ...


@dataclass(frozen=True, slots=True)
class Reversible:
    """A step that is applied whole or not at all, and its inverse."""

    step: Step
    reverse: Step

    @property
    def text(self) -> str:
        return self.step.text

    def apply(self, host: Host) -> None:
        self.step.apply(host)


@dataclass(frozen=True, slots=True)
class Restorable:
    """A step whose inverse restores the old state however far the step has come."""

    step: Step
    restore: Step

    @property
    def text(self) -> str:
        return self.step.text

    def apply(self, host: Host) -> None:
        self.step.apply(host)

    def inverse(self, host: Host) -> Step | None:
        return self.restore


@dataclass(frozen=True, slots=True)
class Reordered:
    """Steps that are printed in one order, which users know, and applied in a safer one."""

    printed: tuple[Step, ...]
    applied: tuple[Step, ...]

    @property
    def text(self) -> str:
        return "\n".join(step.text for step in self.printed)

    def apply(self, host: Host) -> None:
        for step in self.applied:
            step.apply(host)


@dataclass(frozen=True, slots=True)
class AddLink:
    """Create the interface: in the kernel, or by a program where the kernel has no WireGuard."""

    name: str

    @property
    def text(self) -> str:
        return f"ip link add {self.name} type wireguard"

    def apply(self, host: Host) -> None:
        try:
            host.netlink.add_link(self.name, "wireguard")
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP or KERNEL_MODULE.exists():
                raise
            self._start_device(host)

    def _start_device(self, host: Host) -> None:
        program = device_program()
        if programs.find_program(program) is None:
            raise HollowayError(
                f"this kernel has no WireGuard module, and there is no program `{program}'"
            )
        print_message(fallback())
        print_message(f"[#] {program} {self.name}")
        programs.run_program([program, self.name], host.interrupts)

    def inverse(self, host: Host) -> Step | None:
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
            self._wait_for_device()

    def _wait_for_device(self) -> None:
        """Wait until the device in user space, which ends with its link, has ended.

        Otherwise it may remove the socket of a device that is started right after this. A
        wireguard-go that was started a moment ago can miss that its link is gone; it also ends when
        its socket is removed.
        """
        import time

        socket = Path(uapi.DIRECTORY, f"{self.name}{uapi.SUFFIX}")
        deadline = time.monotonic() + DEVICE_END_SECONDS
        while socket.exists() and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        socket.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Hook:
    """Have bash run a command of the user for a phase, `PostUp` and the like."""

    phase: str
    command: str
    interface: str

    @property
    def text(self) -> str:
        return without_keys(self.command)

    def apply(self, host: Host) -> None:
        try:
            programs.run_hook(self.command, self.interface, host.interrupts)
        except programs.ProgramFailed as error:
            raise HollowayError(f"{self.phase}: {error}") from None


@dataclass(frozen=True, slots=True)
class Configure:
    """Give the device its keys and peers; `resolve` looks up the names of their endpoints."""

    name: str
    resolve: Callable[[], DeviceUpdate] = field(repr=False)

    @property
    def text(self) -> str:
        return f"wg setconf {self.name} /dev/fd/63"

    def apply(self, host: Host) -> None:
        with host.interrupts.interruptible():
            update = self.resolve()
        try:
            set_device(host.find(self.name), update)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise HollowayError(f"Unable to modify interface: {reason}") from error


class PortTaken(HollowayError):
    """Another device or program listens on the port that a device is to have."""


def set_device(device: Control, update: DeviceUpdate) -> None:
    """Change a device; raises OSError, or PortTaken if its port is taken.

    A device in user space may bind its port only when it learns that its interface is up, and then
    nobody waits for an error any more. So the port is tried before it is set.
    """
    port = update.listen_port
    try:
        if port and isinstance(device, uapi.UapiDevice) and device.get().listen_port != port:
            from holloway.netlink.listen_port import require_free

            require_free(port)
        device.set(update)
    except OSError as error:
        if error.errno == errno.EADDRINUSE and port:
            from holloway.netlink.listen_port import port_in_use

            raise PortTaken(port_in_use(port).strerror) from error
        raise


def device_program() -> str:
    """Return the program that makes a device where the kernel cannot."""
    return os.environ.get("WG_QUICK_USERSPACE_IMPLEMENTATION") or DEVICE_PROGRAM


def fallback() -> str:
    """Return the line that says which program is used instead of the kernel."""
    program = os.path.basename(device_program())
    return f"[!] This kernel has no WireGuard module: {program} makes the interface."


DEVICE_PROGRAM: Final = "holloway-device"
DEVICE_END_SECONDS: Final = 1.0
POLL_SECONDS: Final = 0.002

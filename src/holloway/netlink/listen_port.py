"""A UDP port to listen on: whether it is free in this network namespace, and who has it if not.

A device and `wg-quick` both ask before an interface comes up, because the interface comes up
whether its device can bind the port or not. Reads /proc and asks the kernel; asks no other device.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from holloway.netlink import kernel_devices


def holder(port: int) -> str | None:
    """Name the interface or process that has the port; None where that cannot be seen.

    The sockets of other users' processes and of other PID namespaces cannot be seen.
    """
    inodes = {inode for table in _TABLES for inode in _inodes(table, port)}
    targets = {f"socket:[{inode}]" for inode in inodes}
    for process in filter(str.isdigit, os.listdir("/proc")):
        descriptors = _descriptors(process)
        if targets.intersection(descriptors.values()):
            return _describe(process, descriptors)
    for name in kernel_devices.names():
        with suppress(OSError):
            if kernel_devices.get(name).listen_port == port:
                return f"{name} (in the kernel)"
    return None


def require_free(port: int, find_holder: Callable[[int], str | None] = holder) -> None:
    """Bind the port on both address families and release it.

    Raises OSError; if the port is taken (EADDRINUSE), it names the port and who has it.
    """
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):  # noqa: S104
        try:
            _bind(family, address, port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise port_in_use(port, find_holder) from None
            if error.errno not in _NO_SUCH_FAMILY:
                raise


def port_in_use(port: int, find_holder: Callable[[int], str | None] = holder) -> OSError:
    """Return the error for a port that is taken: its text names the port and who has it."""
    taken = os.strerror(errno.EADDRINUSE)
    text = f"Unable to listen on UDP port {port}: {taken}"
    owner = find_holder(port)
    return OSError(errno.EADDRINUSE, text if owner is None else f"{text} by {owner}")


def _bind(family: int, address: str, port: int) -> None:
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.bind((address, port))


def _inodes(table: str, port: int) -> Iterator[str]:
    """Read the inodes of the sockets that are bound to the port, on whatever address."""
    try:
        lines = _lines(table)[1:]
    except OSError:
        return  # no IPv6, or no /proc
    for line in lines:
        fields = line.split()
        if int(fields[_LOCAL_ADDRESS].rpartition(":")[2], 16) == port:
            yield fields[_INODE]


def _descriptors(process: str) -> dict[str, str]:
    """Map the numbers of a process's open files to what they are."""
    found = {}
    with suppress(OSError):  # it ended, or is somebody else's
        for number in os.listdir(f"/proc/{process}/fd"):
            with suppress(OSError):
                found[number] = os.readlink(f"/proc/{process}/fd/{number}")
    return found


def _describe(process: str, descriptors: dict[str, str]) -> str:
    """Name the interface that a process serves if it does, and the process."""
    try:
        (program,) = _lines(f"/proc/{process}/comm")
    except (OSError, ValueError):
        program = "unknown program"
    described = f"{program}, process {process}"
    for number, target in descriptors.items():
        if target == "/dev/net/tun":
            with suppress(OSError):
                for line in _lines(f"/proc/{process}/fdinfo/{number}"):
                    if line.startswith("iff:"):
                        return f"{line.removeprefix('iff:').strip()} ({described})"
    return described


def _lines(path: str) -> list[str]:
    with open(path, errors="replace") as file:
        return file.read().splitlines()


_NO_SUCH_FAMILY: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})
# Of this thread: a process's own /proc/net is its main thread's.
_TABLES: Final = ("/proc/thread-self/net/udp", "/proc/thread-self/net/udp6")
_LOCAL_ADDRESS: Final = 1  # fields of a line, net/ipv4/udp.c, udp4_format_sock
_INODE: Final = 9

"""Least privilege: drops what a process no longer needs, when it will never need it again.

The device keeps four capabilities and no other right of root; the monitor keeps what its calls
need. What a system refuses (a user namespace with one user, a processor without a list of system
calls) is logged, and the rest is dropped all the same. Called by `daemon`, before any thread runs.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Final

VARIABLE: Final = "HOLLOWAY_CONFINEMENT"

# linux/capability.h
CAP_DAC_OVERRIDE: Final = 1
CAP_NET_BIND_SERVICE: Final = 10
CAP_NET_ADMIN: Final = 12
CAP_NET_RAW: Final = 13
CAP_IPC_LOCK: Final = 14
CAP_SYS_PTRACE: Final = 19
CAP_SYS_ADMIN: Final = 21
CAP_SYS_NICE: Final = 23
DEVICE_CAPABILITIES: Final = frozenset({
    CAP_NET_BIND_SERVICE,  # a listen port below 1024
    CAP_NET_ADMIN,  # marks and buffers of the UDP sockets, the interface, connection tracking
    CAP_IPC_LOCK,  # memory that is not swapped
    CAP_SYS_NICE,  # the handshake thread goes first
})  # fmt: skip
MONITOR_CAPABILITIES: Final = frozenset({
    CAP_SYS_ADMIN,  # setns
    CAP_NET_ADMIN,  # the interface's settings in another namespace
    CAP_NET_RAW,  # ICMP
    CAP_SYS_PTRACE,  # whose socket has a port
    CAP_DAC_OVERRIDE,  # the same, and a socket in a directory of another user
})  # fmt: skip
USERS: Final = ("holloway", "nobody")
"""The first that exists is the device's."""


def wanted() -> bool:
    """Whether the environment leaves confinement on."""
    return os.environ.get(VARIABLE) != "off"


def confine_device() -> None:
    """Become a process that has packets and keys, and no other right over the host."""
    _disable_core_dumps()
    _attempt("The memory is not locked", _lock_memory)
    _attempt("The bounding set stays", _empty_bounding_set)
    if os.geteuid() == 0:
        _attempt("The user stays 0", _change_user)
    _keep_capabilities(DEVICE_CAPABILITIES)
    _never_gain_privileges()
    from holloway import _native

    _attempt("System calls are not filtered", _native.confine_system_calls, is_error=True)


def confine_monitor() -> None:
    """Keep the rights that the monitor's calls need."""
    _disable_core_dumps()
    _attempt("The bounding set stays", _empty_bounding_set)
    _keep_capabilities(MONITOR_CAPABILITIES)
    _never_gain_privileges()


def _disable_core_dumps() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _lock_memory() -> None:
    """Keep all memory, with the keys in it, out of swap: Python's keys may be anywhere.

    Pages that are never touched take no memory. A limit that is too low later on would fail an
    allocation then; with none, only CAP_IPC_LOCK, which is kept, lets this and all others succeed.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, hard))
    _call("mlockall", MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)


def _empty_bounding_set() -> None:
    """Let no program that this process could execute have a capability."""
    for capability in range(64):
        try:
            _call("prctl", PR_CAPBSET_DROP, capability)
        except OSError as error:
            if error.errno == errno.EINVAL:
                return  # the kernel knows no higher ones
            raise


def _change_user() -> None:
    """Become the device's user; in a user namespace there may be none but root."""
    uid, gid = _account()
    # Else the change would drop all capabilities.
    _call("prctl", PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def _account() -> tuple[int, int]:
    """Read the device's user from /etc/passwd alone: a directory server may be behind a tunnel.

    Returns its numbers of user and group.
    """
    found: dict[str, tuple[int, int]] = {}
    try:
        with open("/etc/passwd", errors="replace") as file:
            for line in file:
                name, *fields = line.split(":")
                if (
                    name in USERS
                    and len(fields) >= 3
                    and fields[1].isdigit()
                    and fields[2].isdigit()
                ):
                    found.setdefault(name, (int(fields[1]), int(fields[2])))
    except OSError:
        pass
    return next((found[name] for name in USERS if name in found), OVERFLOW)


def _keep_capabilities(kept: Iterable[int]) -> None:
    """Keep of the present capabilities only these, and pass none on."""
    header = _CapabilityHeader(_LINUX_CAPABILITY_VERSION_3, 0)
    present = (_CapabilityData * 2)()
    _call("capget", ctypes.byref(header), ctypes.byref(present))
    mask = sum(1 << number for number in kept)
    for word, each in enumerate(present):
        each.permitted &= mask >> 32 * word & 0xFFFFFFFF
        each.effective = each.permitted
        each.inheritable = 0
    _call("capset", ctypes.byref(header), ctypes.byref(present))


def _never_gain_privileges() -> None:
    _call("prctl", PR_SET_NO_NEW_PRIVS, 1)
    # The memory, and the files in /proc/PID, are root's alone.
    _call("prctl", PR_SET_DUMPABLE, 0)


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilityData(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def _call(function: str, *arguments: object) -> None:
    """Call a function of the C library; raises OSError."""
    # `prctl` has five arguments, and the kernel looks at those that are not used.
    padded = (*arguments, 0, 0, 0)[:5] if function == "prctl" else arguments
    words = [ctypes.c_ulong(each) if isinstance(each, int) else each for each in padded]
    if _LIBRARY[function](*words) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _attempt(sentence: str, step: Callable[[], None], *, is_error: bool = False) -> None:
    """Take a step; if the system refuses it, log a sentence and go on without it."""
    try:
        step()
    except OSError as error:
        import logging  # not before: the monitor would have it, too

        level = logging.ERROR if is_error else logging.DEBUG
        logging.getLogger(__name__).log(level, "%s: %s", sentence, error.strerror or error)


_LIBRARY: Final = ctypes.CDLL(None, use_errno=True)
OVERFLOW: Final = (65534, 65534)  # the kernel's own user of those that have none
MCL_CURRENT: Final = 1  # linux/mman.h
MCL_FUTURE: Final = 2
MCL_ONFAULT: Final = 4
PR_SET_DUMPABLE: Final = 4  # linux/prctl.h
PR_SET_KEEPCAPS: Final = 8
PR_CAPBSET_DROP: Final = 24
PR_SET_NO_NEW_PRIVS: Final = 38
_LINUX_CAPABILITY_VERSION_3: Final = 0x20080522

"""The errors of a peer inside a program, with texts that say what to do.

Errors of the tunnel are ordinary OSErrors with the numbers of the kernel's WireGuard (device.c,
wg_xmit). `NoNamespace` is raised where the system refuses a private namespace.
"""

from __future__ import annotations

import errno
import os
from typing import Final

from holloway.errors import HollowayError


class NoNamespace(HollowayError, OSError):
    """The system refuses a private network namespace; `step` is the step that it refused."""

    def __init__(self, number: int, step: str) -> None:
        super().__init__(number, _explanation(number, step))
        self.step = step


def no_peer(address: str) -> OSError:
    """No peer has this address in its allowed IPs."""
    return _with_hint(
        errno.ENOKEY, "no peer has this address in AllowedIPs; add it to one", address
    )


def no_endpoint(address: str) -> OSError:
    """The peer that has this address has no endpoint, neither configured nor discovered."""
    hint = "the peer has no Endpoint and has not called yet; wait for it, or set one"
    return _with_hint(errno.EDESTADDRREQ, hint, address)


def network_down(reason: str) -> OSError:
    """The network is closed, or has ended by itself."""
    return OSError(errno.ENETDOWN, reason)


def forked(name: str) -> OSError:
    """The network was opened by another process, of which this one is a fork."""
    return OSError(
        errno.EPERM,
        f"the network {name} serves the process that opened it, not its forks: open one in this "
        'process, with a key of its own (with multiprocessing, in the child, or use "spawn"); '
        "the sockets that it inherited still work",
    )


def not_picklable(name: str) -> TypeError:
    """Something tries to send the network to another process."""
    return TypeError(
        f"the network {name} cannot be sent to another process: "
        "open one there, with a key of its own"
    )


def explain(error: OSError) -> str:
    """Return in one line why an address was not reached."""
    if isinstance(error, TimeoutError) and not error.strerror:
        return os.strerror(errno.ETIMEDOUT)
    return error.strerror or str(error)


def _with_hint(number: int, hint: str, address: str) -> OSError:
    return OSError(number, f"{os.strerror(number)} ({hint})", address)


def _explanation(number: int, step: str) -> str:
    """Name the refused step and, where it is known, what would allow it."""
    refused = f"{step}: {os.strerror(number)}"
    if step == FIND_PROGRAM:
        return "the helper program holloway-namespace is not installed with the package"
    if step == "user namespace":
        cause = _CAUSES.get(number, "sysctl kernel.unprivileged_userns_clone")
        return f"this system forbids user namespaces ({refused}; see {cause})"
    if step == "open /dev/net/tun":
        if number in DENIED:
            return f"the TUN device is not for everybody here ({refused})"
        return f"there is no TUN device here ({refused})"
    if number in DENIED:
        return f"this system gives user namespaces no rights ({refused}; see AppArmor's rules)"
    return refused


DENIED: Final = frozenset({errno.EPERM, errno.EACCES})
FIND_PROGRAM: Final = "find the helper program"
_CAUSES: Final = {
    errno.ENOSPC: "sysctl user.max_user_namespaces",
    errno.EACCES: "the rules of AppArmor or SELinux",  # the kernel's own refusals are EPERM
}

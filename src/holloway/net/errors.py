"""What goes wrong with a peer inside a program, in words that say what to do.

Errors of the tunnel are the system's ordinary ones, with the numbers that WireGuard's own interface
gives (kernel, device.c, wg_xmit). What the private namespace lacks is a `NoNamespace`.
"""

from __future__ import annotations

import errno
import os
from typing import Final

from holloway.errors import HollowayError


class NoNamespace(HollowayError, OSError):
    """The system refuses a private network namespace; `step` is what it refused."""

    def __init__(self, number: int, step: str) -> None:
        super().__init__(number, _explanation(number, step))
        self.step = step


def no_peer(address: str) -> OSError:
    """No peer has this address in its allowed IPs."""
    return OSError(errno.ENOKEY, os.strerror(errno.ENOKEY), address)


def no_endpoint(address: str) -> OSError:
    """The peer that has this address has no endpoint, neither configured nor discovered."""
    return OSError(errno.EDESTADDRREQ, os.strerror(errno.EDESTADDRREQ), address)


def network_down(reason: str) -> OSError:
    """The network is closed, or has ended by itself."""
    return OSError(errno.ENETDOWN, reason)


def _explanation(number: int, step: str) -> str:
    """Tell the refused step and, where it is known, what would allow it."""
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

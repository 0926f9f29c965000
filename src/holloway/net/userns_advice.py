"""How to allow private namespaces on a system that forbids them: the commands for this system.

Different causes look alike: a limit, a sysctl of Debian's kernel, AppArmor, a container. Tells them
apart by /proc, which it reads through a function that tests can replace. Changes nothing.
"""

from __future__ import annotations

import errno
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from holloway.net.errors import DENIED, FIND_PROGRAM
from holloway.net.namespace import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Callable

    from holloway.net.errors import NoNamespace

SPECIAL: Final = re.compile(r'[\\*?\[\]{}^"@]')
PROFILE: Final = """\
# Lets Holloway's launcher, and what it starts, make user namespaces where
# kernel.apparmor_restrict_unprivileged_userns forbids them (Ubuntu 23.10 and newer).
# Nothing installs it. It confines nothing, and it opens this: every user who may start the
# launcher can run any program in a user namespace of its own, as before that restriction.
# As /etc/apparmor.d/holloway-namespace it is loaded at boot, and at once by
#   sudo apparmor_parser -r /etc/apparmor.d/holloway-namespace

abi <abi/4.0>,
include <tunables/global>

profile holloway-namespace {path} flags=(unconfined) {{
  userns,

  include if exists <local/holloway-namespace>
}}
"""


def apparmor_profile(path: str = "") -> str:
    """Return the profile for the helper program of this installation, or at `path`, a pattern."""
    # AppArmor matches the program's path with all symbolic links resolved.
    return PROFILE.format(path=path or escape_path(Path(PROGRAM).resolve()))


def escape_path(path: Path) -> str:
    """Return a profile's pattern that matches just this path (apparmor.d(5), globbing)."""
    return '"{}"'.format(SPECIAL.sub(r"\\\g<0>", str(path)))


def userns_advice(error: NoNamespace, read: Callable[[str], str] | None = None) -> str:
    """Return lines that say what to do; empty if that is not known."""
    read = read or _read
    if error.step == FIND_PROGRAM:
        return INSTALL
    if error.step == "open /dev/net/tun":
        return CONTAINER_TUN if _is_container(read) else _tun(error.errno)
    if read("/proc/sys/user/max_user_namespaces") == "0" or error.errno == errno.ENOSPC:
        return SWITCH.format(what="The limit is none", setting="user.max_user_namespaces=15000")
    if error.errno not in DENIED:
        return ""
    if read("/proc/sys/kernel/unprivileged_userns_clone") == "0":
        setting = "kernel.unprivileged_userns_clone=1"
        return SWITCH.format(what="The kernel has them switched off", setting=setting)
    if read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1":
        return APPARMOR
    if error.errno == errno.EACCES and (profile := _profile(read)):
        return CONFINED.format(profile=profile)
    return CONTAINER if _is_container(read) else ""


def _profile(read: Callable[[str], str]) -> str:
    """Return the AppArmor profile that is enforced on this process, if any."""
    name, _, mode = read("/proc/self/attr/apparmor/current").rpartition(" ")
    return name if mode == "(enforce)" else ""


def _tun(number: int | None) -> str:
    return TUN_DENIED if number in DENIED else TUN


def _is_container(read: Callable[[str], str]) -> bool:
    """Whether a seccomp filter applies to this process, as in a container."""
    lines = read("/proc/self/status").splitlines()
    return "Seccomp:\t2" in lines


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


SWITCH: Final = """\
{what}. An administrator changes that for good:
  sudo sysctl -w {setting}
  echo {setting} | sudo tee /etc/sysctl.d/userns.conf"""
ADD_PROFILE: Final = """
  holloway run --apparmor-profile | sudo tee /etc/apparmor.d/holloway-namespace
  sudo apparmor_parser -r /etc/apparmor.d/holloway-namespace"""
APPARMOR: Final = f"""\
AppArmor lets only programs with a profile use them. An administrator adds it:\
{ADD_PROFILE}"""
CONFINED: Final = f"""\
AppArmor's profile {{profile}}, which confines this program, forbids them. If
it lets programs have profiles of their own, an administrator adds one:\
{ADD_PROFILE}"""
CONTAINER: Final = """\
A container's filter of system calls forbids them. Start the container with
  --security-opt seccomp=unconfined --security-opt apparmor=unconfined
  --device /dev/net/tun"""
CONTAINER_TUN: Final = """\
A container has it if it is started with
  --device /dev/net/tun"""
TUN_DENIED: Final = """\
An administrator opens it to all, as udev does:
  sudo chmod 666 /dev/net/tun"""
TUN: Final = """\
An administrator loads the module:
  sudo modprobe tun"""
INSTALL: Final = """\
It is part of Holloway's wheels for Linux; in a checkout `make build` builds it."""

"""The advice for each kind of system that forbids private namespaces."""

from __future__ import annotations

import errno

import pytest

from holloway.net.errors import FIND_PROGRAM, NoNamespace
from holloway.net.userns_advice import userns_advice

FILTERED = "Name:\tpython\nSeccomp:\t2\nSeccomp_filters:\t1"
LIMIT = "/proc/sys/user/max_user_namespaces"
DEBIAN = "/proc/sys/kernel/unprivileged_userns_clone"
UBUNTU = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
PROFILE = "/proc/self/attr/apparmor/current"
STATUS = "/proc/self/status"


@pytest.mark.parametrize(
    ("number", "step", "system", "advice"),
    [
        (errno.ENOSPC, "user namespace", {LIMIT: "0"}, "user.max_user_namespaces=15000"),
        (errno.ENOSPC, "user namespace", {LIMIT: "40"}, "user.max_user_namespaces=15000"),
        (errno.EPERM, "user namespace", {DEBIAN: "0"}, "kernel.unprivileged_userns_clone=1"),
        (errno.EPERM, "map the user", {UBUNTU: "1"}, "holloway run --apparmor-profile"),
        (errno.EACCES, "deny setgroups", {UBUNTU: "1"}, "holloway run --apparmor-profile"),
        (errno.EACCES, "user namespace", {PROFILE: "a b (enforce)"}, "profile a b, which"),
        (errno.EACCES, "deny setgroups", {PROFILE: "user (enforce)"}, "profile user, which"),
        (errno.EPERM, "user namespace", {STATUS: FILTERED}, "seccomp=unconfined"),
        (errno.ENOENT, "open /dev/net/tun", {STATUS: FILTERED}, "--device /dev/net/tun"),
        (errno.ENOENT, "open /dev/net/tun", {}, "modprobe tun"),
        (errno.EACCES, "open /dev/net/tun", {}, "chmod 666 /dev/net/tun"),
        (errno.ENOENT, FIND_PROGRAM, {}, "make build"),
    ],
)
def test_the_advice_is_for_this_system(
    number: int, step: str, system: dict[str, str], advice: str
) -> None:
    found = userns_advice(NoNamespace(number, step), lambda path: system.get(path, ""))
    assert advice in found
    assert max(map(len, found.splitlines())) <= 80


@pytest.mark.parametrize("number", [errno.EPERM, errno.EACCES, errno.ENOMEM])
def test_there_is_no_advice_if_the_reason_is_unknown(number: int) -> None:
    allowed = {LIMIT: "15000", DEBIAN: "1", UBUNTU: "0", STATUS: "Seccomp:\t0",
               PROFILE: "chrome (unconfined)"}  # fmt: skip
    error = NoNamespace(number, "network namespace")
    assert userns_advice(error, lambda path: allowed.get(path, "")) == ""

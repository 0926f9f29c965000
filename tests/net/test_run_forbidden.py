"""Systems that forbid private namespaces: the reason, and what an administrator can do about it.

The limit and the filter of system calls are the kernel's own. Nothing here needs root;
`test_run_unprivileged` runs these again as a user without any rights.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from holloway.net import namespace
from holloway.net.userns_advice import apparmor_profile
from hosts import REPOSITORY
from net.run_pair import HOLLOWAY, PYTHON, write_files

if TYPE_CHECKING:
    from pathlib import Path

WITHOUT_RIGHTS = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"]
LIMIT = ["unshare", "--user", "--map-root-user", "sh", "-c",
         'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"', "sh"]  # fmt: skip
FILTER = """
import ctypes, os, struct, sys
UNSHARE = {"x86_64": 272, "aarch64": 97}[os.uname().machine]
code = [(0x20, 0, 0, 0), (0x15, 0, 3, UNSHARE),  # unshare(2)?
        (0x20, 0, 0, 16), (0x45, 0, 1, int(sys.argv[1])),  # with one of these flags?
        (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]  # EPERM, or as ever
filters = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in code))
program = struct.pack("@HP", len(code), ctypes.addressof(filters))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.c_char_p(program), 0, 0):
    raise OSError(ctypes.get_errno(), "seccomp")
os.execv(sys.argv[2], sys.argv[2:])
"""
NEW_USER, NEW_NETWORK = 0x1000_0000, 0x4000_0000  # linux/sched.h


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    return [*HOLLOWAY, "run", str(write_files(tmp_path).laptop), "true"]


def refusal(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 125, done
    return done.stderr


def test_a_limit_of_none_is_told_with_the_setting_that_lifts_it(command: list[str]) -> None:
    said = refusal(*LIMIT, *WITHOUT_RIGHTS, *command)
    assert said.startswith("holloway run: this system forbids user namespaces (user namespace: No")
    assert "\n  sudo sysctl -w user.max_user_namespaces=15000\n" in said
    assert "user.max_user_namespaces=15000 | sudo tee /etc/sysctl.d/" in said


@pytest.mark.parametrize("flag", [NEW_USER, NEW_NETWORK])
def test_a_container_s_filter_is_told_with_the_options_that_lift_it(
    command: list[str], flag: int
) -> None:
    said = refusal(*WITHOUT_RIGHTS, PYTHON, "-c", FILTER, str(flag), *command)
    assert "Operation not permitted" in said
    assert "\n  --security-opt seccomp=unconfined --security-opt apparmor=unconfined\n" in said
    assert "\n  --device /dev/net/tun\n" in said


def test_the_profile_that_is_printed_names_this_installation() -> None:
    shown = subprocess.check_output([*HOLLOWAY, "run", "--apparmor-profile"], text=True)
    assert f'\nprofile holloway-namespace "{namespace.PROGRAM}" flags=(unconfined) {{\n' in shown
    assert shown == apparmor_profile()


def test_the_profile_names_the_launcher_itself_not_a_link_to_it(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(REPOSITORY / "src")
    shown = subprocess.check_output(
        [*HOLLOWAY, "run", "--apparmor-profile"], text=True,
        env=os.environ | {"PYTHONPATH": str(link)},
    )  # fmt: skip
    assert f'"{namespace.PROGRAM}"' in shown


def test_the_profile_of_packages_is_the_same_for_the_system_s_paths() -> None:
    shipped = (REPOSITORY / "share/apparmor.d/holloway-namespace").read_text()
    paths = "/usr/{local/,}lib/python3*/{dist,site}-packages/holloway/net/holloway-namespace"
    assert shipped == apparmor_profile(paths)


def test_the_profile_is_of_apparmor_s_language(tmp_path: Path) -> None:
    """Parsers before 4.0, which restrict no namespaces, know all of it but two lines."""
    text = apparmor_profile()
    known = text.replace("abi <abi/4.0>,\n", "").replace("  userns,\n", "")
    assert len(text) - len(known) == len("abi <abi/4.0>,\n  userns,\n")
    profile = tmp_path / "profile"
    profile.write_text(known)
    parser = "/usr/sbin/apparmor_parser"
    done = subprocess.run(
        [parser, "--skip-kernel-load", "--skip-cache", str(profile)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr

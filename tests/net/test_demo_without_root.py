"""The demo that needs no root shows what it promises, and leaves nothing, whenever it ends.

It runs as a user without rights inside a host of its own, so that all that could be left is in
sight.
"""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import pytest

from holloway.lab import Host
from hosts import eventually
from net.run_pair import HOLLOWAY
from net.test_run_forbidden import LIMIT, WITHOUT_RIGHTS
from net.unprivileged import grant_access, unprivileged

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

pytestmark = pytest.mark.root

TEMPORARY = "/run/temporary"
DEMO = ["env", f"TMPDIR={TEMPORARY}", *HOLLOWAY, "demo"]
PAGE = "Meet me where the holloway leaves the wood."
STEPS = ["1  Keys", "2  A peer that serves", "office$ python3", "3  A peer that asks",
         "laptop$ python3", "5  Any program", "laptop$ holloway run", "6  Down"]  # fmt: skip


@pytest.fixture(scope="module")
def machine() -> Iterator[Host]:
    with Host("machine") as host:
        grant_access(host)
        host.run("mkdir", "--mode", "1777", TEMPORARY)
        yield host


def state(machine: Host) -> str:
    """What could be left behind: links, files, sockets, mounts, processes."""
    look = (
        f"ip -br link; ls -A {TEMPORARY} /run; cat /proc/1/mounts; ss -Hlnpu;"
        r" ps -eo args | grep -vE '^\[?(ps|sh|grep)[] ]'"
    )
    return machine.run("sh", "-c", look).stdout


def assert_left_nothing(machine: Host, before: str) -> None:
    eventually(lambda: state(machine) == before)
    assert state(machine) == before


def test_it_shows_every_step_and_leaves_nothing(machine: Host) -> None:
    before = state(machine)
    done = machine.run(*unprivileged(*DEMO), check=False)
    assert (done.returncode, done.stderr) == (0, "")
    shown = done.stdout
    assert all(step in shown for step in STEPS)
    for line in ("TCP/IP is the kernel stack", f"the page: {PAGE}", f"\n    {PAGE}\n"):
        assert line in shown
    assert re.search(r"found in 0 of [1-9]\d* packets", shown)
    assert re.search(r"laptop +UNKNOWN +10.10.11.2/24", shown)
    assert not re.search(r"(?i)privatekey = (?!\(hidden\))", shown)
    assert max(map(len, shown.splitlines())) <= 100
    assert_left_nothing(machine, before)


def test_where_user_namespaces_are_forbidden_it_shows_what_can_be_had(machine: Host) -> None:
    before = state(machine)
    done = machine.run(*unprivileged(*LIMIT, *WITHOUT_RIGHTS, *DEMO, "--without-root"), check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "TCP/IP is the userspace stack" in done.stdout
    assert f"the page: {PAGE}" in done.stdout
    assert "sudo sysctl -w user.max_user_namespaces=15000" in done.stdout
    assert_left_nothing(machine, before)


def test_where_the_tun_device_is_root_s_it_says_how_to_open_it(machine: Host) -> None:
    machine.run("chmod", "600", "/dev/net/tun")
    try:
        done = machine.run(*unprivileged(*DEMO), check=False)
    finally:
        machine.run("chmod", "666", "/dev/net/tun")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"the page: {PAGE}" in done.stdout
    assert "\n      sudo chmod 666 /dev/net/tun\n" in done.stdout


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_demo_leaves_nothing(
    machine: Host, step: str, number: signal.Signals
) -> None:
    before = state(machine)
    demo = start_until(machine, step)
    machine.run("pkill", f"-{int(number)}", "-f", "holloway demo$")
    output, errors = demo.communicate(timeout=20)
    assert errors == ""
    if step != STEPS[-1] or demo.returncode != 0:  # the last may be over before it is interrupted
        assert demo.returncode == 130
        assert output.endswith("Interrupted; the programs and their files are gone.\n")
    assert_left_nothing(machine, before)


def test_a_killed_demo_leaves_no_program(machine: Host) -> None:
    demo = start_until(machine, "3  A peer that asks")
    machine.run("pkill", "-KILL", "-f", "holloway demo$")
    demo.communicate(timeout=20)
    assert eventually(lambda: "office.py" not in state(machine))
    machine.run("sh", "-c", f"rm -r {TEMPORARY}/holloway-*")


def start_until(machine: Host, line: str) -> subprocess.Popen[str]:
    """Start the demo and read it until it prints a line."""
    demo = machine.popen(*unprivileged(*DEMO), environment={"PYTHONUNBUFFERED": "1"})
    assert demo.stdout is not None
    for shown in demo.stdout:
        if line in shown:
            return demo
    raise AssertionError(demo.communicate()[1])

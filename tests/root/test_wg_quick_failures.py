"""Whatever step of `wg-quick up` fails or is interrupted, the host is as it was before."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from holloway.key import Key
from holloway.lab import Host
from hosts import DEVICES, eventually
from quick_host import CONFIG, PEER_KEYS, QuickHost, peer

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.spread]

ADDRESS = "Address = 10.10.11.10/24, fd00:1::1/64"
UNDONE = "[#] ip link delete dev wg0"
FAILURES = {
    "PreUp": ("PreUp = true\nPreUp = exit 3", "", "PreUp: hook ended with exit code 3"),
    "PreUp in a pipe": ("PreUp = false | true", "", "PreUp: hook ended with exit code 1"),
    "PreUp in a list": ("PreUp = false; true", "", "PreUp: hook ended with exit code 1"),
    "PreUp by a signal": ("PreUp = kill -9 $BASHPID", "", "PreUp: hook ended"),
    "endpoint": ("", "Endpoint = nosuch.invalid:1", "nosuch.invalid:1"),
    "link gone": ("PreUp = sleep 0.3; ip link delete dev %i; sleep 0.5", "", "wg-quick: "),
    "address twice": (f"{ADDRESS}, 10.10.11.10/24", "", "RTNETLINK answers: File exists"),
    "address of nothing": (f"{ADDRESS}, ::/128", "", "RTNETLINK answers: "),
    "route taken": ("Table = 333", "", "RTNETLINK answers: File exists"),
    "PostUp": ("PostUp = true\nPostUp = exit 4", "", "PostUp: hook ended with exit code 4"),
    "PostUp without a program": ("PostUp = nosuchprogram", "", "exit code 127"),
}
REFUSALS = {
    "Address": ("Address = 10.0.0.1/24, 10.0.0.300/24", "line 4: Address: `10.0.0.300/24' is"),
    "Address length": ("Address = 10.0.0.1/33", "line 4: Address: `10.0.0.1/33' is"),
    "Address word": ("Address = 10.0.0.1\nAddress = home", "line 5: Address: `home' is"),
    "Address zone": ("Address = fe80::1%eth0/64", "line 4: Address: `fe80::1%eth0/64' is"),
    "MTU": ("MTU = big", "line 4: MTU: `big' is"),
    "MTU small": ("MTU = 67", "line 4: MTU: `67' is"),
    "MTU large": ("MTU = 65536", "line 4: MTU: `65536' is"),
    "Table": ("\nTable = nowhere", "line 5: Table: `nowhere' is"),
    "Table 0": ("Table = 0", "line 4: Table: `0' is"),
    "SaveConfig": ("SaveConfig = yes", "line 4: SaveConfig: `yes' is neither true nor false"),
    "key of wg": ("Bogus = 1", "line 4: "),
    "FwMark": ("FwMark = zz", "line 4: "),
}


@pytest.fixture(scope="module")
def lab() -> Iterator[Host]:
    with Host("hwq-failing") as host:
        host.run("ip", "route", "add", "blackhole", "10.9.0.0/16", "table", "333")
        yield host


@pytest.fixture(params=["holloway", "wireguard-go"])
def host(lab: Host, request: pytest.FixtureRequest) -> QuickHost:
    return QuickHost(lab, device=request.param)


@pytest.mark.parametrize("case", FAILURES)
def test_a_step_that_fails_takes_the_steps_before_it_back(host: QuickHost, case: str):
    interface, in_peer, reason = FAILURES[case]
    host.configure(interface, peer("10.9.0.0/16", in_peer))
    before = host.state()
    done = host.wg_quick("up", "wg0")
    assert done.returncode == 1
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
    assert (done.stderr.splitlines()[-1] == UNDONE) == (case != "link gone")
    assert host.state() == before


@pytest.mark.parametrize("case", REFUSALS)
def test_a_bad_value_is_named_by_line_and_key_and_changes_nothing(host: QuickHost, case: str):
    interface, reason = REFUSALS[case]
    host.configure(interface, peer())
    before = host.state()
    done = host.wg_quick("up", "wg0")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("wg-quick: ")
    assert reason in done.stderr
    assert "[#]" not in done.stderr
    assert host.state() == before


def test_a_bad_peer_is_named_by_line_and_changes_nothing(host: QuickHost):
    for bad in ("AllowedIPs = 10.0.0.300/32", "PresharedKey = abc", "Endpoint = 192.0.2.1"):
        host.configure("", f"[Peer]\nPublicKey = {PEER_KEYS[0]}\n{bad}\n")
        before = host.state()
        done = host.wg_quick("up", "wg0")
        assert done.returncode == 1
        assert "line 7: " in done.stderr
        assert "[#]" not in done.stderr
        assert host.state() == before


def test_a_device_program_that_fails_or_is_missing_leaves_nothing(host: QuickHost):
    host.configure(ADDRESS, peer())
    before = host.state()
    for program, reason in (("false", "exit code 1"), ("nosuchprogram", "`nosuchprogram'")):
        failing = QuickHost(host.host, environment={"WG_QUICK_USERSPACE_IMPLEMENTATION": program})
        done = failing.wg_quick("up", "wg0")
        assert done.returncode == 1
        assert reason in done.stderr
        assert UNDONE not in done.stderr
        assert host.state() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("phase", ["PreUp", "PostUp"])
def test_a_signal_during_a_hook_takes_everything_back(
    host: QuickHost, phase: str, number: signal.Signals
):
    hook = "echo $PPID >/run/quick.pid; sleep 300; true"
    host.configure(f"{ADDRESS}\n{phase} = {hook}", peer("10.9.0.0/16"))
    before = host.state()
    running = host.start("up", "wg0")
    wait = "until [ -s /run/quick.pid ]; do sleep 0.05; done"
    host.host.run("sh", "-c", f"{wait}; kill -{int(number)} $(cat /run/quick.pid)")
    _, errors = running.communicate(timeout=60)
    host.host.run("rm", "/run/quick.pid")
    assert running.returncode == 1
    assert errors.splitlines()[-2:] == [f"wg-quick: interrupted by {number.name}", UNDONE]
    assert host.state() == before
    assert eventually(lambda: "sleep 300" not in host.host.run("ps", "ax").stdout)


def test_a_second_up_of_the_same_file_does_not_touch_the_first(host: QuickHost):
    hook = "touch /run/started; until [ -e /run/go ]; do sleep 0.05; done"
    host.configure(f"{ADDRESS}\nPreUp = {hook}", peer("10.9.0.0/16"))
    first = host.start("up", "wg0")
    host.host.run("sh", "-c", "until [ -e /run/started ]; do sleep 0.05; done")
    second = host.wg_quick("up", "wg0")
    host.host.run("touch", "/run/go")
    first.communicate(timeout=60)
    links = host.ip("-br", "link")
    host.wg_quick("down", "wg0")
    host.host.run("rm", "/run/go", "/run/started")
    assert (second.returncode, first.returncode) == (1, 0)
    assert "wg0" in str(links)


def test_a_predown_that_fails_leaves_the_interface_up(host: QuickHost):
    host.configure(f"{ADDRESS}\nPreDown = exit 5", peer())
    host.wg_quick("up", "wg0")
    before = host.state()
    done = host.wg_quick("down", "wg0")
    after = host.state()
    host.configure()
    host.wg_quick("down", "wg0")
    assert done.returncode == 1
    assert "PreDown: hook ended with exit code 5" in done.stderr
    assert after == before


def test_a_postdown_that_fails_is_told_when_the_interface_is_gone(host: QuickHost):
    host.configure(f"{ADDRESS}\nPostDown = exit 6", peer())
    before = host.state()
    host.wg_quick("up", "wg0")
    done = host.wg_quick("down", "wg0")
    assert done.returncode == 1
    assert "PostDown: hook ended with exit code 6" in done.stderr
    assert host.state() == before


def test_a_hook_is_not_shown_in_the_list_of_processes(host: QuickHost):
    host.configure("PostUp = : s3cret; ps axww >/run/ps", peer())
    host.wg_quick("up", "wg0")
    host.wg_quick("down", "wg0")
    listed = host.host.run("cat", "/run/ps").stdout
    host.host.run("rm", "/run/ps")
    assert "bash" in listed
    assert "s3cret" not in listed


def test_the_configuration_may_not_be_a_directory(host: QuickHost):
    host.host.run("sh", "-c", f"rm -f {CONFIG}; mkdir {CONFIG}")
    done = host.wg_quick("up", "wg0")
    host.host.run("rmdir", CONFIG)
    assert (done.returncode, done.stderr) == (1, f"wg-quick: {CONFIG}: Is a directory\n")


def test_a_signal_while_the_device_starts_takes_it_back(host: QuickHost):
    host.configure(ADDRESS, peer())
    before = host.state()
    (program, *_) = DEVICES[host.device]
    script = f'#!/bin/sh\n{program} "$@"\necho $PPID >/run/quick.pid\nsleep 300\n'
    host.host.write("/run/slow-device", script, 0o700)
    slow = QuickHost(
        host.host, environment={"WG_QUICK_USERSPACE_IMPLEMENTATION": "/run/slow-device"}
    )
    running = slow.start("up", "wg0")
    wait = "until [ -s /run/quick.pid ]; do sleep 0.05; done"
    host.host.run("sh", "-c", f"{wait}; kill -TERM $(cat /run/quick.pid)")
    _, errors = running.communicate(timeout=60)
    host.host.run("rm", "/run/quick.pid", "/run/slow-device")
    assert running.returncode == 1
    assert errors.splitlines()[-2:] == ["wg-quick: interrupted by SIGTERM", UNDONE]
    assert host.state() == before


def test_nobody_listening_does_not_stop_the_undoing(host: QuickHost):
    host.configure(f"{ADDRESS}\nPostUp = exit 3", peer())
    before = host.state()
    host.host.run(
        "sh", "-c", '"$@" 2>&1 | true', "closed", *host.command("up", "wg0"),
        environment=host.variables(),
    )  # fmt: skip
    assert eventually(lambda: host.state() == before)


@pytest.mark.parametrize("line", ["PrivatKey = ", "PrivateKey: ", "PresharedKey = ", "PostUp = : "])
def test_a_key_is_never_repeated(host: QuickHost, line: str):
    secret = Key(bytes(range(64, 96))).base64
    host.configure(f"{line}{secret}\nPostUp = false", peer())
    before = host.state()
    done = host.wg_quick("up", "wg0")
    assert done.returncode == 1
    assert "(hidden)" in done.stderr
    assert secret[:12] not in done.stderr + done.stdout
    assert host.state() == before

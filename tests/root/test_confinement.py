"""The rights of a running device: which it keeps, and what it leaves when it ends."""

from __future__ import annotations

import re
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from holloway.lab import Host
from hosts import DEVICES, WG, eventually, start_device

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.spread]

DEVICE = DEVICES["holloway"][0]
DEVICE_CAPABILITIES = {10, 12, 14, 23}  # NET_BIND_SERVICE, NET_ADMIN, IPC_LOCK, SYS_NICE
MONITOR_CAPABILITIES = {
    1,
    12,
    13,
    19,
    21,
}  # DAC_OVERRIDE, NET_ADMIN, NET_RAW, SYS_PTRACE, SYS_ADMIN
OFF = {"HOLLOWAY_CONFINEMENT": "off"}


@pytest.fixture
def host() -> Iterator[Host]:
    with Host("confined") as made:
        yield made


def processes(host: Host) -> list[str]:
    """The processes of a device: its own, then its monitor."""
    return host.run("pgrep", "-f", "[h]olloway-device", check=False).stdout.split()


def statuses(host: Host, process: str) -> list[dict[str, str]]:
    """What the kernel says of each thread of a process."""
    texts = host.run("sh", "-c", f"cat /proc/{process}/task/*/status").stdout.split("Name:\t")
    return [dict(line.split(":\t", 1) for line in f"Name:\t{text}".splitlines() if ":\t" in line)
            for text in texts[1:]]  # fmt: skip


def capabilities(text: str) -> set[int]:
    mask = int(text, 16)
    return {number for number in range(64) if mask >> number & 1}


def answers(host: Host, interface: str = "wg0") -> bool:
    return host.run(WG["original"], "show", interface, check=False).returncode == 0


def assert_ended(host: Host, sockets: str = "") -> None:
    """The device and its monitor have ended, and left these files beside the UAPI sockets."""
    assert eventually(lambda: not processes(host))
    assert host.run("ls", "/run/wireguard").stdout == sockets


def test_every_thread_of_a_device_has_few_rights(host: Host) -> None:
    start_device(host, "holloway", "wg0")
    process, _ = processes(host)
    threads = statuses(host, process)
    assert len(threads) == 3  # of the brain, and two of the plane
    for status in threads:
        assert status["Uid"].split() == ["65534"] * 4
        assert status["Gid"].split() == ["65534"] * 4
        assert status["Groups"].split() == []
        assert capabilities(status["CapPrm"]) == DEVICE_CAPABILITIES
        assert capabilities(status["CapEff"]) == DEVICE_CAPABILITIES
        assert not any(capabilities(status[name]) for name in ("CapInh", "CapBnd", "CapAmb"))
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert int(threads[0]["VmLck"].split()[0]) >= int(threads[0]["VmRSS"].split()[0])
    limits = host.run("cat", f"/proc/{process}/limits").stdout
    assert re.search(r"Max core file size +0 +0 ", limits)
    # A process of the same user cannot read the memory.
    assert host.run("stat", "-c", "%u", f"/proc/{process}/mem").stdout == "0\n"


def test_the_handshake_thread_is_preferred(host: Host) -> None:
    """As without confinement, though only root may prefer a process."""
    for interface, environment in (("wg0", {}), ("wg1", OFF)):
        start_device(host, "holloway", interface, environment=environment)
        process = processes(host)[-2 if interface == "wg0" else -1]
        fields = host.run("sh", "-c", f"cat /proc/{process}/task/*/stat").stdout.splitlines()
        nice = {line.split("(")[1].split(")")[0]: int(line.rsplit(")", 1)[1].split()[16])
                for line in fields}  # fmt: skip
        assert nice["holloway-handsh"] == -5
        assert nice["holloway-shard"] == 0


def test_the_monitor_keeps_only_what_its_calls_need(host: Host) -> None:
    start_device(host, "holloway", "wg0")
    _, monitor = processes(host)
    (status,) = statuses(host, monitor)
    assert capabilities(status["CapPrm"]) == capabilities(status["CapEff"]) == MONITOR_CAPABILITIES
    assert not any(capabilities(status[name]) for name in ("CapInh", "CapBnd", "CapAmb"))
    assert status["NoNewPrivs"] == "1"
    # A client never connects to what no longer answers.
    assert "wireguard" not in host.run("sh", "-c", f"ls -l /proc/{monitor}/fd").stdout


def test_a_system_user_of_its_own_is_taken_before_nobody(host: Host) -> None:
    host.run("sh", "-c", "echo holloway:x:431:432::/:/bin/false >>/etc/passwd")
    start_device(host, "holloway", "wg0")
    process, _ = processes(host)
    assert {(status["Uid"], status["Gid"]) for status in statuses(host, process)} == {
        ("\t".join(["431"] * 4), "\t".join(["432"] * 4))
    }


def test_confinement_can_be_switched_off(host: Host) -> None:
    start_device(host, "holloway", "wg0", environment=OFF)
    (process,) = processes(host)
    assert statuses(host, process)[0]["Uid"].split() == ["0"] * 4
    assert statuses(host, process)[0]["Seccomp"] == "0"
    host.run("ip", "link", "del", "wg0")
    assert_ended(host)


def test_a_device_that_is_killed_leaves_nothing(host: Host) -> None:
    start_device(host, "holloway", "wg0")
    process, _ = processes(host)
    host.run("kill", "-KILL", process)
    assert_ended(host)
    assert host.run("ip", "link", "show", "wg0", check=False).returncode != 0


def test_a_monitor_never_removes_the_socket_of_another_device(host: Host) -> None:
    start_device(host, "holloway", "wg0")
    host.run("mv", "/run/wireguard/wg0.sock", "/run/old.sock")
    host.run("touch", "/run/wireguard/wg0.sock")
    host.run("ip", "link", "del", "wg0")
    assert_ended(host, "wg0.sock\n")


def test_a_device_goes_on_without_its_monitor(host: Host) -> None:
    start_device(host, "holloway", "wg0")
    _, monitor = processes(host)
    host.run("kill", "-KILL", monitor)
    assert answers(host)
    host.run("ip", "link", "set", "wg0", "up")
    host.run("ip", "link", "del", "wg0")
    assert eventually(lambda: not processes(host))


def test_a_terminal_signal_to_both_ends_both_and_leaves_nothing(host: Host) -> None:
    process = host.popen(DEVICE, "-f", "wg0")
    assert eventually(lambda: answers(host))
    for each in reversed(processes(host)):
        host.run("kill", f"-{int(signal.SIGINT)}", each)
    assert process.communicate(timeout=60) == ("", "")
    assert host.run("ls", "/run/wireguard").stdout == ""


def test_root_of_a_user_namespace_can_run_a_device(host: Host) -> None:
    """One user is mapped, to whom the device cannot change; it drops all else."""
    script = ("mount -t tmpfs tmpfs /run; umask 022; export LOG_LEVEL=verbose; "
              f'"$0" wg0 2>/run/log; {WG["original"]} show wg0; cat /run/log; '
              "cat /proc/$(pgrep -o -x holloway-device)/status; ip link del wg0")  # fmt: skip
    shown = host.run("unshare", "--user", "--map-root-user", "--net", "--mount",
                     "sh", "-c", script, DEVICE).stdout  # fmt: skip
    assert "interface: wg0" in shown
    assert "The user stays 0: " in shown
    assert "Seccomp:\t2" in shown
    (effective,) = re.findall(r"CapEff:\t(\w+)", shown)
    assert capabilities(effective) == DEVICE_CAPABILITIES


CONFINED = "from holloway.device import confinement; confinement.confine_device(); "
REFUSED = {
    "a secret of root": ("open('/etc/shadow')", "PermissionError"),
    "a file to write": ("open('/run/file', 'w')", "Function not implemented"),
    "a file to append to": ("open('/dev/null', 'a')", "Function not implemented"),
    "a directory": ("os.mkdir('/run/directory')", "Function not implemented"),
    "a removal": ("os.unlink('/run/netns')", "Function not implemented"),
    "root's user": ("os.setresuid(0, 0, 0)", "Function not implemented"),
    "a process": ("os.fork()", "Function not implemented"),
    "a signal": ("os.kill(1, 0)", "Function not implemented"),
    "raw packets": ("socket.socket(socket.AF_PACKET, socket.SOCK_RAW)", "Function not impl"),
    "raw ICMP": ("socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)", "Operation not permitted"),
    "memory to execute": ("mmap.mmap(-1, 4096, prot=7)", "Function not implemented"),
    "a higher limit": ("resource.setrlimit(resource.RLIMIT_CORE, (0, 1))", "implemented"),
    "another TUN": ("fcntl.ioctl(0, 0x400454CA, bytes(40))", "Function not implemented"),
}  # fmt: skip
FATAL = {
    "a program": "os.execv('/bin/true', ['true'])",
    "another namespace": "libc.setns(0, 0)",
    "a namespace of its own": "libc.unshare(0x10000000)",
    "a mount": "libc.mount(b'a', b'/mnt', b'tmpfs', 0, None)",
    "another process's memory": "libc.ptrace(16, 1, 0, 0)",
}
MODULES = "import ctypes, fcntl, mmap, os, resource, socket; libc = ctypes.CDLL(None); "


def intrude(host: Host, code: str, confined: str = CONFINED) -> tuple[int, str]:
    done = host.run(sys.executable, "-c", MODULES + confined + code, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize("wish", REFUSED)
def test_code_within_a_device_is_refused(host: Host, wish: str) -> None:
    code, refusal = REFUSED[wish]
    status, errors = intrude(host, code)
    assert status == 1
    assert refusal in errors


@pytest.mark.parametrize("wish", FATAL)
def test_code_within_a_device_ends_it_by(host: Host, wish: str) -> None:
    assert intrude(host, FATAL[wish])[0] == -signal.SIGSYS


def test_the_same_code_is_not_refused_without_confinement(host: Host) -> None:
    """Except where the arguments are wrong; else the tests above would show nothing."""
    free = [code for wish, (code, _) in REFUSED.items() if wish not in ("a removal", "another TUN")]
    assert intrude(host, f"[eval(code) for code in {free!r} if 'fork' not in code]", "")[0] == 0

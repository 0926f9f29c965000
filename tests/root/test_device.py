"""The device process keeps wireguard-go's contract: how it starts, what it answers, how it ends."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from holloway.key import Key
from holloway.lab import Host
from hosts import DEVICES, WG, eventually, program, result, start_device

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.spread]

DEVICE = DEVICES["holloway"][0]
KEY = Key(os.urandom(32)).clamped()
PEER = Key(os.urandom(32)).clamped().public()


@pytest.fixture
def host() -> Iterator[Host]:
    with Host("device") as made:
        yield made


def talk(host: Host, text: str, interface: str = "wg0") -> str:
    """Send bytes to the UAPI socket and return what comes until the answers end."""
    path = f"/proc/{host.pid}/root/run/wireguard/{interface}.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(60)
        client.connect(path)
        client.sendall(text.encode())
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    return answer.decode()


def listens(host: Host, interface: str) -> bool:
    """Whether the interface's socket appears."""
    return eventually(lambda: f"{interface}.sock" in host.run("ls", "/run/wireguard").stdout)


def running(host: Host) -> bool:
    return host.run("pgrep", "-f", "[h]olloway-device", check=False).returncode == 0


def ends(host: Host) -> bool:
    return eventually(lambda: not running(host))


def test_it_returns_once_its_socket_answers(host: Host) -> None:
    host.run(DEVICE, "wg0")
    assert talk(host, "get=1\n\n").endswith("errno=0\n\n")
    assert "wg0" in host.run("ip", "link", "show", "dev", "wg0").stdout


def test_its_socket_is_private(host: Host) -> None:
    host.run("sh", "-c", f"umask 0; exec {DEVICE} wg0")
    assert host.run("stat", "-c", "%a", "/run/wireguard/wg0.sock").stdout.strip() == "700"


def test_it_looks_like_a_wireguard_interface(host: Host) -> None:
    host.run(DEVICE, "wg0")
    host.run("ip", "link", "set", "wg0", "up")
    shown = host.run("ip", "address", "show", "dev", "wg0").stdout
    first = "<POINTOPOINT,NOARP,UP,LOWER_UP> mtu 1420 qdisc noqueue state UNKNOWN"
    assert first in shown
    assert "qlen 1000\n    link/none" in shown
    assert "inet6" not in shown


def test_it_ends_when_its_link_is_deleted(host: Host) -> None:
    host.run(DEVICE, "wg0")
    host.run("ip", "link", "del", "wg0")
    assert ends(host)
    assert host.run("ls", "/run/wireguard").stdout == ""


def test_it_ends_when_its_socket_is_removed(host: Host) -> None:
    host.run(DEVICE, "wg0")
    host.run("rm", "/run/wireguard/wg0.sock")
    assert ends(host)
    assert host.run("ip", "link", "show", "wg0", check=False).returncode != 0


@pytest.mark.parametrize("signal", ["TERM", "INT"])
def test_it_ends_on_a_signal_and_leaves_nothing(host: Host, signal: str) -> None:
    host.run(DEVICE, "wg0")
    host.run("pkill", f"-{signal}", "-f", "[h]olloway-device")
    assert ends(host)
    assert host.run("ls", "/run/wireguard").stdout == ""
    assert host.run("ip", "link", "show", "wg0", check=False).returncode != 0


def test_a_second_one_of_the_same_name_is_refused(host: Host) -> None:
    host.run(DEVICE, "wg0")
    done = host.run(DEVICE, "wg0", check=False)
    assert done.returncode == 1
    assert "wg0" in done.stderr
    assert talk(host, "get=1\n\n").endswith("errno=0\n\n")


def test_a_socket_that_answers_is_never_taken_over(host: Host) -> None:
    host.run(DEVICE, "wg0")
    host.run("ip", "link", "set", "wg0", "name", "wg1")
    done = host.run(DEVICE, "wg0", check=False)
    assert done.returncode == 1
    assert "unix socket in use" in done.stderr
    assert talk(host, "get=1\n\n").endswith("errno=0\n\n")


def test_a_stale_socket_is_replaced(host: Host) -> None:
    host.run(DEVICE, "wg0")
    # First the monitor, the newest, which removes the socket of a device that was killed.
    host.run("pkill", "-KILL", "--newest", "-f", "[h]olloway-device")
    host.run("pkill", "-KILL", "-f", "[h]olloway-device")
    assert ends(host)
    assert host.run("ls", "/run/wireguard").stdout == "wg0.sock\n"
    host.run(DEVICE, "wg0")
    assert talk(host, "get=1\n\n").endswith("errno=0\n\n")


def test_a_wrong_call_shows_the_usage(host: Host) -> None:
    for arguments in ((), ("-f",), ("wg0", "wg1"), ("--bogus",)):
        done = host.run(DEVICE, *arguments, check=False)
        assert done.returncode == 1
        assert done.stderr.startswith("Usage: holloway-device")


def test_an_impossible_name_is_refused_with_its_reason(host: Host) -> None:
    done = host.run(DEVICE, "a-name-longer-than-fifteen", check=False)
    assert done.returncode == 1
    assert "a-name-longer-than-fifteen" in done.stderr
    assert "Traceback" not in done.stderr
    assert host.run("ls", "/run/wireguard").stdout == ""


def test_the_foreground_is_chosen_by_option_or_environment(host: Host) -> None:
    for options, environment in ((["-f"], {}), (["--foreground"], {}),
                                 ([], {"WG_PROCESS_FOREGROUND": "1"})):  # fmt: skip
        process = host.popen(DEVICE, *options, "wg0", environment=environment)
        assert listens(host, "wg0")
        assert process.poll() is None
        host.run("rm", "/run/wireguard/wg0.sock")
        process.communicate(timeout=60)
        assert process.returncode == 0


def test_the_interface_name_is_written_where_it_is_asked_for(host: Host) -> None:
    host.run(DEVICE, "wg%d", environment={"WG_TUN_NAME_FILE": "/run/name"})
    assert host.run("cat", "/run/name").stdout == "wg0\n"
    assert talk(host, "get=1\n\n").endswith("errno=0\n\n")


def test_open_descriptors_are_taken_over(host: Host) -> None:
    """A supervisor opens the TUN and the socket, and passes both on."""
    supervisor = Path(__file__).parent / "pass_descriptors.py"
    process = host.popen("python3", str(supervisor), DEVICE, "wg0", "/run/wireguard/wg0.sock")
    assert listens(host, "wg0")
    assert talk(host, "get=1\n\n").endswith("errno=0\n\n")
    host.run("ip", "link", "del", "wg0")
    process.communicate(timeout=60)


def test_a_log_level_of_silent_says_nothing_and_debug_says_all(host: Host) -> None:
    quiet, loud = (
        host.popen(DEVICE, "-f", name, environment={"LOG_LEVEL": level})
        for name, level in (("wg0", "silent"), ("wg1", "debug"))
    )
    for name in ("wg0", "wg1"):
        assert listens(host, name)
        talk(host, "set=1\nbogus=1\n\n", name)
        host.run("rm", f"/run/wireguard/{name}.sock")
    assert quiet.communicate(timeout=60) == ("", "")
    assert "UAPI listener started" in loud.communicate(timeout=60)[1]


SETTINGS = f"private_key={KEY.hex}\nlisten_port=5555\nfwmark=7\npublic_key={PEER.hex}\n"


@pytest.mark.parametrize(
    ("line", "errno"),
    [
        ("nonsense", 71),
        ("bogus=1", 22),
        ("private_key=12", 22),
        ("listen_port=65536", 22),
        ("fwmark=-1", 22),
        ("replace_peers=false", 22),
        ("preshared_key=zz", 22),
        ("endpoint=host.name:1", 22),
        ("persistent_keepalive_interval=65536", 22),
        ("replace_allowed_ips=1", 22),
        ("allowed_ip=10.0.0.0/33", 22),
        ("protocol_version=2", 22),
        ("remove=yes", 22),
        ("update_only=0", 22),
    ],
)
def test_a_bad_line_refuses_the_whole_set(host: Host, line: str, errno: int) -> None:
    start_device(host, "holloway", "wg0")
    before = talk(host, "get=1\n\n")
    assert talk(host, f"set=1\n{SETTINGS}{line}\n\n") == f"errno=-{errno}\n\n"
    assert talk(host, "get=1\n\n") == before


def test_one_connection_carries_many_requests(host: Host) -> None:
    start_device(host, "holloway", "wg0")
    answer = talk(host, f"set=1\n{SETTINGS}\nget=1\n\nset=1\nbogus=1\n\nget=1\n\n")
    assert answer.count("errno=0\n\n") == 3
    assert answer.count("errno=-22\n\n") == 1
    assert answer.count(f"private_key={KEY.hex}\nlisten_port=5555\nfwmark=7\n") == 2


def test_a_broken_request_harms_nobody_else(host: Host) -> None:
    start_device(host, "holloway", "wg0")
    for broken in ("hello\n", "set=1\nlisten_port=1", "x" * 100_000, "get=1\nextra=1\n\n", "\n"):
        talk(host, broken)
    assert talk(host, "get=1\n\n").endswith("errno=0\n\n")


def test_a_port_in_use_is_refused_and_changes_nothing(host: Host) -> None:
    start_device(host, "holloway", "wg0")
    host.run("ip", "link", "set", "wg0", "up")
    taken = program(host, "udp_receive", "0.0.0.0", "5555", "5")
    before = talk(host, "get=1\n\n")
    assert talk(host, f"set=1\n{SETTINGS}\n") == "errno=-98\n\n"
    assert talk(host, "get=1\n\n") == before
    done = host.run(WG["original"], "set", "wg0", "listen-port", "5555", check=False)
    assert done.stderr == "Unable to modify interface: Address already in use\n"
    taken.kill()
    taken.communicate()


@pytest.mark.parametrize("level", ["error", "debug"])
def test_garbage_from_strangers_is_counted_and_costs_nobody_a_session(
    host: Host, level: str
) -> None:
    """Every kind and length of datagram: no log line at the default level, every one counted."""
    process = host.popen(DEVICE, "-f", "wg0", environment={"LOG_LEVEL": level})
    assert listens(host, "wg0")
    host.run("ip", "link", "set", "wg0", "up")
    talk(host, f"set=1\n{SETTINGS}\n")
    sent = sum(
        int(str(result(program(host, "udp_garbage", "127.0.0.1", "5555", "2000", seed))["sent"]))
        for seed in ("1", "2")
    )
    assert talk(host, "get=1\n\n").endswith("errno=0\n\n")
    host.run("rm", "/run/wireguard/wg0.sock")
    output, errors = process.communicate(timeout=60)
    assert output == ""
    if level == "error":
        assert errors == ""
        return
    counts = re.findall(r"(\d+) [a-z_]+", errors.rpartition("not passed on: ")[2])
    assert sum(map(int, counts)) == sent


def test_malformed_packets_from_the_interface_are_dropped_without_a_word(host: Host) -> None:
    process = host.popen(DEVICE, "-f", "wg0")
    assert listens(host, "wg0")
    talk(host, f"set=1\n{SETTINGS}endpoint=127.0.0.1:9\nallowed_ip=10.1.0.0/16\n\n")
    host.run("ip", "link", "set", "wg0", "up")
    assert result(program(host, "packet_garbage", "wg0", "3000"))["sent"] > 2000  # type: ignore[operator]
    assert talk(host, "get=1\n\n").endswith("errno=0\n\n")
    host.run("rm", "/run/wireguard/wg0.sock")
    assert process.communicate(timeout=60) == ("", "")


def test_a_full_disk_under_the_log_does_not_stop_it(host: Host) -> None:
    host.run("sh", "-c", f"LOG_LEVEL=debug {DEVICE} wg0 >/dev/full 2>&1")
    for _ in range(3):
        assert talk(host, "set=1\nbogus=1\n\n") == "errno=-22\n\n"


def test_a_network_that_goes_and_comes_is_logged_once_and_recovered_from(host: Host) -> None:
    process = host.popen(DEVICE, "-f", "wg0")
    assert listens(host, "wg0")
    talk(host, f"set=1\n{SETTINGS}endpoint=10.9.9.9:1\nallowed_ip=10.1.0.0/16\n\n")
    host.run("ip", "address", "add", "10.1.0.1/16", "dev", "wg0")
    host.run("ip", "link", "set", "wg0", "up")
    host.run("ping", "-c", "3", "-i", "0.2", "-W", "1", "10.1.0.2", check=False)
    host.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "far0")
    host.run("ip", "link", "set", "far0", "up")
    host.run("ip", "address", "add", "10.9.9.8/24", "dev", "eth0")
    host.run("ip", "link", "set", "eth0", "up")
    host.run("ip", "neigh", "add", "10.9.9.9", "lladdr", "02:00:00:00:00:01", "dev", "eth0")
    assert eventually(lambda: re.search(r"tx_bytes=[1-9]", talk(host, "get=1\n\n")))
    host.run("rm", "/run/wireguard/wg0.sock")
    errors = process.communicate(timeout=60)[1]
    assert errors.count("Network is unreachable") == 1
    assert errors.count("Sending works again") == 1

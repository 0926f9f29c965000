"""A packet that has nowhere to go is answered as the kernel's device answers it, and logged."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from holloway.key import Key
from holloway.lab import Host, join
from hosts import DEVICES, WG, eventually, start_device

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.spread]

PEER = Key(bytes([9]) * 32).public().base64
DEVICE = DEVICES["holloway"][0]
PACKETS = 30_000
LOG = [DEVICE.replace("holloway-device", "holloway"), "log"]


@pytest.fixture
def host() -> Iterator[Host]:
    """A host with 10.10.11.2 and fd00::2 on wg0, whose peer 10.10.11.1, fd00::1 has no endpoint."""
    with Host("laptop") as made:
        start_device(made, "holloway", "wg0")
        made.run(WG["original"], "set", "wg0", "peer", PEER, "allowed-ips",
                 "10.10.11.1/32,fd00::1/128,10.10.13.0/24")  # fmt: skip
        addressed(made)
        yield made


def addressed(host: Host, *inside: str) -> None:
    for command in (
        "address add 10.10.11.2/24 dev wg0",
        "address add fd00::2/64 dev wg0 nodad",
        "link set wg0 up",
    ):
        host.run(*inside, "ip", *command.split())


def ping(host: Host, address: str, *inside: str) -> str:
    return host.run(*inside, "ping", "-n", "-c", "1", "-W", "1", address, check=False).stdout


def log_of(host: Host) -> str:
    return host.run("cat", "/run/log").stdout


@pytest.mark.parametrize("last", [1, 9], ids=["no endpoint", "no peer"])
def test_a_local_ping_is_told_that_the_host_is_unreachable(host: Host, last: int) -> None:
    seen = ping(host, f"10.10.11.{last}")
    assert "From 10.10.11.2 icmp_seq=1 Destination Host Unreachable\n" in seen
    seen = ping(host, f"fd00::{last}")
    assert "From fd00::2 icmp_seq=1 Destination unreachable: Address unreachable\n" in seen


def test_a_connection_fails_at_once(host: Host) -> None:
    script = (
        "import socket; s = socket.socket(); s.settimeout(20); s.setsockopt(0, 11, 1)\n"
        "try: s.connect(('10.10.11.9', 80))\n"
        "except OSError as error: print(error.strerror)"
    )
    assert host.run("python3", "-c", script).stdout == "No route to host\n"


def test_packets_from_our_own_addresses_stay_martians(host: Host) -> None:
    assert host.run("sysctl", "-n", "net.ipv4.conf.wg0.accept_local").stdout == "0\n"


def test_answers_come_in_the_namespace_where_the_interface_is_now(host: Host) -> None:
    host.run("ip", "netns", "add", "inner")
    inside = ("ip", "netns", "exec", "inner")
    host.run(*inside, "ip", "link", "set", "lo", "up")
    host.run("ip", "link", "set", "wg0", "netns", "inner")
    addressed(host, *inside)
    answer = "From 10.10.11.2 icmp_seq=1 Destination Host Unreachable"
    assert eventually(lambda: answer in ping(host, "10.10.11.9", *inside))


def test_the_interface_keeps_its_look_after_a_move(host: Host) -> None:
    host.run("ip", "netns", "add", "inner")
    host.run("ip", "link", "set", "wg0", "netns", "inner")
    inside = ("ip", "netns", "exec", "inner")
    look = ("ip", "address", "show", "dev", "wg0")
    assert eventually(lambda: "qdisc noqueue" in host.run(*inside, *look).stdout)
    host.run(*inside, "ip", "link", "set", "wg0", "up")
    assert "qdisc noqueue state UNKNOWN" in host.run(*inside, *look).stdout
    assert "inet6" not in host.run(*inside, *look).stdout


@pytest.mark.parametrize("translated", [False, True])
@pytest.mark.parametrize("strict", ["0", "1"])
def test_a_forwarded_ping_is_answered_from_the_routers_address_on_that_side(
    host: Host, translated: bool, strict: str
) -> None:
    """As the kernel's own test of it has it (tools/testing/selftests/wireguard/netns.sh)."""
    with Host("desk") as desk:
        join(desk, host)
        for end, address in ((desk, "10.0.0.1/24"), (host, "10.0.0.100/24")):
            end.run("ip", "address", "add", address, "dev", "eth0")
        desk.run("ip", "route", "add", "10.10.0.0/16", "via", "10.0.0.100")
        # Nothing but what a careful host accepts.
        desk.run("nft", "-f", "-", stdin=(
            "table ip careful {\nchain input {\ntype filter hook input priority 0\n"
            "iif eth0 ip saddr != 10.0.0.0/24 drop\nct state invalid drop\n}\n}\n"
        ))  # fmt: skip
        host.run("ip", "route", "add", "10.10.13.0/24", "dev", "wg0")
        host.run("sysctl", "-w", "net.ipv4.ip_forward=1", f"net.ipv4.conf.all.rp_filter={strict}")
        if translated:
            host.run("nft", "-f", "-", stdin=(
                "table ip nat {\nchain out {\ntype nat hook postrouting priority 100\n"
                "oifname wg0 masquerade\n}\n}\n"
            ))  # fmt: skip
        for address in ("10.10.11.9", "10.10.13.1"):
            answer = "From 10.0.0.100 icmp_seq=1 Destination Host Unreachable"
            assert answer in ping(desk, address)


@contextlib.contextmanager
def following(host: Host) -> Iterator[None]:
    """Write all that the device logs to /run/log; the device ends with the block."""
    host.run(*LOG, "wg0", "verbose")
    with host.popen("sh", "-c", f"exec {' '.join(LOG)} --follow wg0 >/run/log") as follower:
        try:
            yield
        finally:
            host.run("rm", "/run/wireguard/wg0.sock")
            follower.communicate(timeout=60)
    assert follower.returncode == 0, "the device has ended, and so has what it says"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("10.10.11.1", "No valid endpoint has been configured or discovered for peer 1"),
        ("10.10.11.9", "No peer has allowed IPs matching 10.10.11.9"),
        ("fd00::9", "No peer has allowed IPs matching fd00::9"),
    ],
)
def test_it_is_logged_in_the_kernels_words_when_asked_to(
    host: Host, address: str, words: str
) -> None:
    with following(host):
        assert eventually(lambda: ping(host, address) and words in log_of(host))
        assert all(": (wg0) 20" in line for line in log_of(host).splitlines())


def test_at_the_default_level_nothing_is_logged() -> None:
    with Host("laptop") as host:
        host.run("sh", "-c", f"LOG_LEVEL=error exec {DEVICE} wg0 >/run/log 2>&1")
        addressed(host)
        ping(host, "10.10.11.9")
        assert log_of(host) == ""


def test_a_flood_is_answered_and_logged_by_burst_and_not_by_packet(host: Host) -> None:
    """The rates themselves are tested where a test has the clock: in `unreachable.rs` and `log`."""
    send = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        f"for _ in range({PACKETS}): s.sendto(b'x', ('10.10.11.9', 9))\n"
    )
    with following(host):
        host.run("python3", "-c", send)
        assert eventually(lambda: answers(host) >= 50 and matching(host))
        assert matching(host) < PACKETS / 100


def answers(host: Host) -> int:
    return int(host.run("nstat", "-asz", "IcmpOutDestUnreachs").stdout.split()[-2])


def matching(host: Host) -> int:
    return log_of(host).count("No peer has allowed IPs matching 10.10.11.9")


@pytest.mark.parametrize("implementation", ["wireguard-go", "boringtun"])
@pytest.mark.parametrize("options", [[], ["verbose"], ["--follow"]])
def test_devices_of_others_are_told_apart(implementation: str, options: list[str]) -> None:
    with Host("laptop") as host:
        start_device(host, implementation, "wg0")
        done = host.run(*LOG, "wg0", *options, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith("the device of wg0 cannot change its log while it runs\n")


def test_a_level_is_changed_and_a_session_of_requests_goes_on(host: Host) -> None:
    assert host.run(*LOG, "wg0").stdout == "error\n"
    assert host.run(*LOG, "wg0", "silent").stdout == ""
    assert host.run(*LOG, "wg0").stdout == "silent\n"
    for name in WG:
        assert PEER in host.run(WG[name], "show", "wg0").stdout

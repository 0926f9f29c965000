"""Two underlays between two hosts, a route that moves from one to the other, addresses that stay.

No send fails then, so only the routing table shows that the address to which the peer last sent
belongs to the wrong underlay. The firewall of each underlay drops the addresses of the other.
"""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

import pytest

from holloway.lab import Host, join
from hosts import WG, eventually, key_pair, start_device

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.spread]

PORT = 51820
# Handshake messages have 148 and 92 bytes; no transport message does, for it is padded.
GUARD = """
table inet guard {
  counter handshakes {}
  chain in {
    type filter hook input priority 0;
    udp length { 156, 100 } counter name handshakes;
    iifname eth0 ip saddr 10.97.0.0/24 drop;
    iifname eth0 ip6 saddr fd00:97::/64 drop;
    iifname eth1 ip saddr 10.99.0.0/24 drop;
    iifname eth1 ip6 saddr fd00:99::/64 drop;
  }
  chain out { type filter hook output priority 0; udp length { 156, 100 } counter name handshakes; }
}
"""
MANY = 20_000
"""Changes of routes, far more than a netlink socket holds."""


class Underlays:
    """Hosts 1 and 2, wg0 between them, by way of eth0 at first."""

    def __init__(self, hosts: tuple[Host, Host], outer: str) -> None:
        self.hosts = hosts
        self.outer = outer
        for name in ("eth0", "eth1"):
            join(*hosts, first_name=name, second_name=name)
        keys = [key_pair(host, WG["holloway"]) for host in hosts]
        for number, host in enumerate(hosts, 1):
            host.run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0")
            for name, net in (("eth0", 99), ("eth1", 97)):
                host.run("sysctl", "-qw", f"net.ipv4.conf.{name}.rp_filter=0")
                host.run("ip", "address", "add", f"10.{net}.0.{number}/24", "dev", name)
                host.run("ip", "address", "add", f"fd00:{net}::{number}/64", "dev", name, "nodad")
            start_device(host, "holloway", "wg0")
            host.write("/run/key", keys[number - 1].private)
            endpoint = ("endpoint", self.address(99, 2)) if number == 1 else ()
            host.run(WG["holloway"], "set", "wg0", "private-key", "/run/key",
                     "listen-port", str(PORT), "peer", keys[2 - number].public,
                     "allowed-ips", f"10.98.0.{3 - number}/32", *endpoint)  # fmt: skip
            host.run("ip", "address", "add", f"10.98.0.{number}/24", "dev", "wg0")
            host.run("ip", "link", "set", "wg0", "up")
        hosts[1].run("nft", "-f", "-", stdin=GUARD)

    def address(self, net: int, number: int) -> str:
        return self.outer.format(net=net, number=number, port=PORT)

    def ping_succeeds(self) -> bool:
        shown = self.hosts[0].run("ping", "-n", "-c", "1", "-W", "1", "10.98.0.2", check=False)
        return " bytes from " in shown.stdout

    def endpoint_of_first(self) -> str:
        """Where the second host answers the first one."""
        shown = self.hosts[1].run(WG["holloway"], "show", "wg0", "endpoints").stdout
        return shown.split()[1]

    def handshakes(self) -> int:
        """Messages of handshakes that came to the second host or left it."""
        shown = self.hosts[1].run("nft", "list", "counter", "inet", "guard", "handshakes").stdout
        return int(re.findall(r"packets (\d+)", shown)[0])


@pytest.fixture(params=["10.{net}.0.{number}:{port}", "[fd00:{net}::{number}]:{port}"], ids="46")
def underlays(request: pytest.FixtureRequest) -> Iterator[Underlays]:
    with Host("first") as first, Host("second") as second:
        yield Underlays((first, second), request.param)


@pytest.mark.parametrize("burst", [0, MANY])
def test_traffic_follows_a_route_that_moves_without_a_handshake(
    underlays: Underlays, burst: int
) -> None:
    """The second host writes to the old address, by the old underlay, until the new one writes."""
    first, second = underlays.hosts
    assert eventually(underlays.ping_succeeds)
    assert underlays.endpoint_of_first() == underlays.address(99, 1)
    handshakes = underlays.handshakes()
    assert handshakes == 2
    second.run("sh", "-c", "ping -nq -i 0.01 10.98.0.1 >/dev/null 2>&1 &")
    changes = [f"route add 10.50.{host >> 8}.{host & 255}/32 dev lo" for host in range(burst)]
    new = "10.99.0.2/32 via 10.97.0.2", "fd00:99::2/128 via fd00:97::2"
    for change, net in (("add", 97), ("delete", 99)):
        moves = [f"route {change} {route}" for route in new]
        first.run("ip", "-batch", "-", stdin="\n".join([*changes, *moves]) + "\n")
        assert eventually(underlays.ping_succeeds)
        assert underlays.endpoint_of_first() == underlays.address(net, 1)
        changes = [change.replace("add", "delete") for change in changes]
    assert underlays.handshakes() == handshakes


ASK = """
import json, socket, sys
from dataclasses import dataclass
from holloway.device.routes import Routes

@dataclass
class Path:
    host: str
    port: int
    local: str
    interface: str | int

    def __post_init__(self):
        self.interface = socket.if_nametoindex(self.interface)

mark, paths = json.load(sys.stdin)
with Routes(51820, mark) as routes:
    print(json.dumps([routes.is_symmetric(Path(*path)) for path in paths]))
"""


def is_symmetric(
    host: Host, *ways: tuple[str, str, str], mark: int = 0, port: int = 1
) -> list[object]:
    """Ask a host about paths: the peer's address, ours, and the interface of the last packet."""
    asked = [(remote, port, local, name) for remote, local, name in ways]
    answers = host.run(sys.executable, "-c", ASK, stdin=json.dumps([mark, asked])).stdout
    found: list[object] = json.loads(answers)
    return found


@pytest.fixture
def forked() -> Iterator[Host]:
    """A host with eth0 and eth1, and an address on `lo` that is of neither."""
    with Host("forked") as host, Host("around") as around:
        # No link-local addresses: they would become usable, and be reported, some time later.
        host.run("sysctl", "-qw", "net.ipv6.conf.default.addr_gen_mode=1")
        for name, net in (("eth0", 99), ("eth1", 97)):
            join(host, around, first_name=name, second_name=name)
            host.run("ip", "address", "add", f"10.{net}.0.1/24", "dev", name)
            host.run("ip", "address", "add", f"fd00:{net}::1/64", "dev", name, "nodad")
        host.run("ip", "address", "add", "10.96.0.1/32", "dev", "lo")
        yield host


def test_an_address_is_doubted_where_the_route_leads_out_of_another_interface(forked: Host) -> None:
    ways = [
        ("10.99.0.2", "10.99.0.1", "eth0"),
        ("10.99.0.2", "10.97.0.1", "eth1"),
        ("fd00:99::2", "fd00:99::1", "eth0"),
        ("fd00:99::2", "fd00:97::1", "eth1"),
    ]
    assert is_symmetric(forked, *ways) == [True, False, True, False]


def test_nothing_is_said_without_a_route_or_of_an_address_that_no_underlay_has(
    forked: Host,
) -> None:
    ways = [
        ("192.0.2.1", "10.99.0.1", "eth0"),
        ("2001:db8::1", "fd00:99::1", "eth0"),
        ("10.99.0.2", "10.96.0.1", "eth1"),
        ("10.99.0.2", "10.97.0.9", "eth1"),
    ]
    assert is_symmetric(forked, *ways) == [None] * 4


def test_a_peer_on_this_host_is_written_to_from_any_address(forked: Host) -> None:
    ways = [("10.97.0.1", "10.99.0.1", "lo"), ("10.97.0.1", "10.99.0.1", "eth0"),
            ("fd00:97::1", "fd00:99::1", "eth0")]  # fmt: skip
    assert is_symmetric(forked, *ways) == [None, True, True]


def test_the_route_is_that_of_the_mark_the_ports_and_the_address(forked: Host) -> None:
    way = ("10.99.0.2", "10.99.0.1", "eth0")
    forked.run("ip", "route", "add", "10.99.0.2", "via", "10.97.0.2", "table", "7")
    for chosen in (["fwmark", "5"], ["from", "10.97.0.1"], ["ipproto", "udp", "dport", "9"]):
        forked.run("ip", "rule", "add", *chosen, "table", "7")
    assert is_symmetric(forked, way, ("10.99.0.2", "10.97.0.1", "eth1")) == [True, True]
    assert is_symmetric(forked, way, mark=5) == [False]
    assert is_symmetric(forked, way, port=9) == [False]


TOLD = """
import select
from holloway.netlink import groups
from holloway.netlink.socket import Watch

watching = Watch(groups.ROUTES)
watching.drain()
print("ready", flush=True)
print(bool(select.select([watching], [], [], 5)[0]), flush=True)
"""


@pytest.mark.parametrize("version", ["-4", "-6"])
@pytest.mark.parametrize(
    "change",
    [
        "rule add from {net}1 table 7",
        "route add {far} dev eth0",
        "address add {net}5 dev eth0",
        "link set eth0 down",
    ],
)
def test_whatever_may_move_a_route_is_told(forked: Host, version: str, change: str) -> None:
    net, far = ("10.99.0.", "192.0.2.1") if version == "-4" else ("fd00:99::", "2001:db8::1")
    with forked.popen(sys.executable, "-c", TOLD) as printed:
        assert printed.stdout is not None
        assert printed.stdout.readline() == "ready\n"
        forked.run("ip", version, *change.format(net=net, far=far).split())
        assert printed.stdout.readline() == "True\n"

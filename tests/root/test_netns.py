"""Two devices made in one network namespace and moved into two others: the acceptance list.

Their UDP sockets stay where they were made, in ns0, on whose loopback the encrypted packets
travel. Everything lives in one `Host` and vanishes with it. The device is ours; `wg` is ours and
the original in turn.

    ns1: wg1 192.168.241.1 fd00::1  ===(ns0: 127.0.0.1:1 <-> 127.0.0.1:2)===  wg2 .2 ::2 :ns2
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from holloway.key import Key
from holloway.lab import Host
from hosts import WG, KeyPair, eventually, key_pair, program, result, start_device

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.spread("tunnels")]

BIG_MTU = 34816 - 1500 + 1420
PSK = Key(bytes(range(32))).base64


class Tunnels:
    """The topology above, and operations on it."""

    def __init__(self, host: Host, wg: str) -> None:
        self.host = host
        self.wg_path = wg
        self.keys = {number: self.key_pair() for number in (1, 2)}

    def key_pair(self) -> KeyPair:
        return key_pair(self.host, self.wg_path)

    def ns(self, number: int, *command: str, check: bool = True) -> str:
        done: subprocess.CompletedProcess[str] = self.host.run(
            "ip", "netns", "exec", f"ns{number}", *command, check=False
        )
        assert not check or done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout if done.returncode == 0 or check else ""

    def ip(self, number: int, *command: str, check: bool = True) -> str:
        return self.ns(number, "ip", *command, check=check)

    def wg(self, number: int, *command: str) -> str:
        return self.ns(number, self.wg_path, *command)

    def set_peer(self, number: int, *settings: str) -> None:
        """Change what device `number` knows of the other one."""
        other = self.keys[3 - number].public
        self.wg(number, "set", f"wg{number}", "peer", other, *settings)

    def endpoint(self, number: int) -> str:
        """Where device `number` sends to."""
        shown = self.wg(number, "show", f"wg{number}", "endpoints")
        return dict(line.split("\t") for line in shown.splitlines())[self.keys[3 - number].public]

    def transfer(self, number: int) -> tuple[int, int]:
        _, received, sent = self.wg(number, "show", f"wg{number}", "transfer").split()
        return int(received), int(sent)

    def ping(self, number: int, address: str, *options: str, check: bool = True) -> bool:
        shown = self.ns(number, "ping", "-n", "-c", "1", "-W", "20", *options, address, check=check)
        return " 0% packet loss" in shown

    def set_mtu(self, mtu: int) -> None:
        for number in (1, 2):
            self.ip(number, "link", "set", f"wg{number}", "mtu", str(mtu))

    def build(self) -> None:
        for number in (0, 1, 2):
            self.host.run("ip", "netns", "add", f"ns{number}")
        self.ip(0, "link", "set", "lo", "up")
        for number in (1, 2):
            start_device(self.host, "holloway", f"wg{number}", namespace="ns0")
            self.ip(0, "link", "set", f"wg{number}", "netns", f"ns{number}")
        for number in (1, 2):
            self.configure(number)

    def configure(self, number: int) -> None:
        self.host.write("/run/key", self.keys[number].private)
        self.host.write("/run/psk", PSK)
        self.wg(number, "set", f"wg{number}", "private-key", "/run/key",
                "listen-port", str(number))  # fmt: skip
        other = 3 - number
        self.set_peer(number, "preshared-key", "/run/psk", "endpoint", f"127.0.0.1:{other}",
                      "allowed-ips", f"192.168.241.{other}/32,fd00::{other}/128")  # fmt: skip
        self.ip(number, "addr", "add", f"192.168.241.{number}/24", "dev", f"wg{number}")
        self.ip(number, "addr", "add", f"fd00::{number}/112", "dev", f"wg{number}", "nodad")
        self.ip(number, "link", "set", f"wg{number}", "up", "mtu", "1420")


@pytest.fixture(scope="module", params=sorted(WG))
def tunnels(request: pytest.FixtureRequest) -> Iterator[Tunnels]:
    with Host("netns") as host:
        built = Tunnels(host, WG[request.param])
        built.build()
        yield built


def flood(tunnels: Tunnels) -> None:
    for number, address in ((1, "192.168.241.2"), (2, "192.168.241.1"), (1, "fd00::2"),
                            (2, "fd00::1")):  # fmt: skip
        tunnels.ns(number, "ping", "-c", "10", "-f", "-W", "1", address)


def iperf(tunnels: Tunnels, server: int, address: str, *options: str) -> dict[str, float]:
    """Run iperf3 from the other namespace to `address` in namespace `server`."""
    serving = tunnels.host.popen("ip", "netns", "exec", f"ns{server}", "iperf3", "-s", "-1",
                                 "-B", address, "--forceflush")  # fmt: skip
    assert serving.stdout is not None
    while "Server listening" not in serving.stdout.readline():
        assert serving.poll() is None
    shown = tunnels.ns(3 - server, "iperf3", "-J", "-c", address, *options)
    serving.communicate(timeout=60)
    end = json.loads(shown)["end"]
    return end.get("sum") or end["sum_sent"]  # type: ignore[no-any-return]


def everything(tunnels: Tunnels) -> None:
    """Pings, a gigabyte of TCP each way over IPv4 and IPv6, and UDP."""
    flood(tunnels)
    for server in (1, 2):
        for address in (f"192.168.241.{server}", f"fd00::{server}"):
            assert iperf(tunnels, server, address, "-n", "1G")["bytes"] >= 1 << 30
            udp = iperf(tunnels, server, address, "-u", "-b", "500M", "-t", "1")
            assert udp["packets"] > udp["lost_packets"]


def test_devices_moved_to_other_namespaces_carry_everything(tunnels: Tunnels) -> None:
    tunnels.set_mtu(1420)
    everything(tunnels)


def test_counters_tell_what_passed(tunnels: Tunnels) -> None:
    flood(tunnels)
    before = tunnels.transfer(1), tunnels.transfer(2)
    tunnels.ns(1, "ping", "-c", "10", "-i", "0.01", "-s", "1000", "192.168.241.2")
    after = tunnels.transfer(1), tunnels.transfer(2)
    # 1028 bytes with their headers, padded to 1040, and 32 of overhead.
    expected = 10 * (1040 + 32)
    for old, new in zip(before, after, strict=True):
        for index in (0, 1):
            assert expected <= new[index] - old[index] <= expected + 200
    received, sent = tunnels.transfer(1)
    line = f"wg1\t{tunnels.keys[2].public}\t{received}\t{sent}"
    assert line in tunnels.wg(1, "show", "all", "transfer").splitlines()


def test_a_large_mtu_carries_everything(tunnels: Tunnels) -> None:
    tunnels.set_mtu(BIG_MTU)
    try:
        everything(tunnels)
    finally:
        tunnels.set_mtu(1420)


def test_an_ipv6_underlay_carries_everything(tunnels: Tunnels) -> None:
    for number in (1, 2):
        tunnels.set_peer(number, "endpoint", f"[::1]:{3 - number}")
    everything(tunnels)
    tunnels.set_mtu(BIG_MTU)
    try:
        everything(tunnels)
    finally:
        tunnels.set_mtu(1420)
        for number in (1, 2):
            tunnels.set_peer(number, "endpoint", f"127.0.0.1:{3 - number}")


def test_a_peer_is_followed_to_a_new_ipv4_address_and_port(tunnels: Tunnels) -> None:
    tunnels.ip(0, "-4", "addr", "del", "127.0.0.1/8", "dev", "lo")
    tunnels.ip(0, "-4", "addr", "add", "127.212.121.99/8", "dev", "lo")
    tunnels.wg(1, "set", "wg1", "listen-port", "9999")
    tunnels.set_peer(1, "endpoint", "127.0.0.1:2")
    assert tunnels.ping(1, "fd00::2")
    assert tunnels.endpoint(2) == "127.212.121.99:9999"


def test_a_peer_is_followed_to_ipv6(tunnels: Tunnels) -> None:
    tunnels.wg(1, "set", "wg1", "listen-port", "9998")
    tunnels.set_peer(1, "endpoint", "[::1]:2")
    assert tunnels.ping(1, "192.168.241.2")
    assert tunnels.endpoint(2) == "[::1]:9998"


def test_a_packet_from_another_peers_address_is_dropped_yet_its_sender_is_followed(
    tunnels: Tunnels,
) -> None:
    """A datagram passes until another peer owns its source; the endpoint still updates."""
    tunnels.set_peer(1, "allowed-ips", "192.168.241.0/24,fd00::2/128")
    assert tunnels.ping(1, "192.168.241.2")
    listening = program(tunnels.host, "udp_receive", "192.168.241.1", "1111", "3", namespace="ns1")
    result(program(tunnels.host, "udp_send", "192.168.241.1", "1111", "X", namespace="ns2"))
    assert result(listening)["data"] == b"X".hex()

    other = tunnels.key_pair().public
    tunnels.wg(1, "set", "wg1", "peer", other, "allowed-ips", "192.168.241.2/32")
    tunnels.wg(2, "set", "wg2", "listen-port", "9997")
    listening = program(tunnels.host, "udp_receive", "192.168.241.1", "1111", "1", namespace="ns1")
    result(program(tunnels.host, "udp_send", "192.168.241.1", "1111", "X", namespace="ns2"))
    assert result(listening)["data"] is None
    tunnels.wg(1, "set", "wg1", "peer", other, "remove")
    assert re.fullmatch(r"(\[::1\]|127\.\d+\.\d+\.\d+):9997", tunnels.endpoint(1))
    tunnels.set_peer(1, "allowed-ips", "192.168.241.2/32,fd00::2/128")


def test_a_peer_with_130560_allowed_ips_shows_them_all(tunnels: Tunnels) -> None:
    allowed = [f"10.{i}.{j}.0/24" for i in range(255) for j in range(256)]
    allowed += [f"fd{i:02x}:{j:02x}::/32" for i in range(255) for j in range(256)]
    assert len(allowed) == 130_560
    peer = tunnels.key_pair().public
    tunnels.host.write("/run/many.conf", f"[Peer]\nPublicKey={peer}\n"
                       + "".join(f"AllowedIPs={network}\n" for network in allowed))  # fmt: skip
    tunnels.wg(1, "addconf", "wg1", "/run/many.conf")
    shown = tunnels.wg(1, "show", "wg1", "allowed-ips")
    (line,) = (line for line in shown.splitlines() if line.startswith(peer))
    assert len(line.split("\t")[1].split()) == 130_560
    tunnels.wg(1, "set", "wg1", "peer", peer, "remove")


@pytest.mark.parametrize(("peers", "networks"), [(40, 52), (30, 4)])
def test_many_peers_show_what_was_set(tunnels: Tunnels, peers: int, networks: int) -> None:
    config, expected = "[Interface]\n", {}
    for number in range(peers):
        public = tunnels.key_pair().public
        expected[public] = {f"10.{number}.{i}.0/24" for i in range(networks)}
        config += f"[Peer]\nPublicKey={public}\nAllowedIPs={','.join(expected[public])}\n"
    tunnels.host.write("/run/peers.conf", config)
    tunnels.wg(1, "addconf", "wg1", "/run/peers.conf")
    shown = dict(line.split("\t") for line in
                 tunnels.wg(1, "show", "wg1", "allowed-ips").splitlines())  # fmt: skip
    for public, allowed in expected.items():
        assert set(shown[public].split()) == allowed
    written = tunnels.wg(1, "showconf", "wg1")
    assert written.count("[Peer]") == peers + 1
    for public in expected:
        tunnels.wg(1, "set", "wg1", "peer", public, "remove")


def test_a_device_that_is_not_there_is_an_error(tunnels: Tunnels) -> None:
    done = tunnels.host.run(tunnels.wg_path, "show", "doesnotexist", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Unable to access interface")


def test_a_nat_that_forgets_quickly_is_kept_open_by_keepalives(tunnels: Tunnels) -> None:
    """Behind a source NAT with a 2 s timeout, a keepalive of 1 s lets the far side call back."""
    with NatRouter(tunnels) as router:
        router.point_devices_through()
        assert tunnels.ping(1, "192.168.241.2")
        assert tunnels.endpoint(2).startswith("10.0.0.100:")
        tunnels.set_peer(1, "persistent-keepalive", "1")
        received = tunnels.transfer(2)[0]
        assert eventually(lambda: tunnels.transfer(2)[0] >= received + 3 * 32)
        assert tunnels.ping(2, "192.168.241.1")
        tunnels.set_peer(1, "persistent-keepalive", "off")


class NatRouter:
    """New devices behind addresses of their own, and a router between that translates.

    ns1 192.168.1.100 -- 192.168.1.1 ns0 10.0.0.1 (SNAT to 10.0.0.100) -- 10.0.0.2 ns2
    """

    def __init__(self, tunnels: Tunnels) -> None:
        self.tunnels = tunnels

    def __enter__(self) -> NatRouter:
        tunnels = self.tunnels
        for number, router, side in ((1, "192.168.1.1/24", "192.168.1.100/24"),
                                     (2, "10.0.0.1/24", "10.0.0.2/24")):  # fmt: skip
            tunnels.ip(0, "link", "add", f"r{number}", "type", "veth",
                       "peer", "name", "eth0", "netns", f"ns{number}")  # fmt: skip
            tunnels.ip(0, "addr", "add", router, "dev", f"r{number}")
            tunnels.ip(0, "link", "set", f"r{number}", "up")
            tunnels.ip(number, "addr", "add", side, "dev", "eth0")
            tunnels.ip(number, "link", "set", "eth0", "up")
        tunnels.ip(0, "addr", "add", "10.0.0.100/24", "dev", "r2")
        tunnels.ip(1, "route", "add", "default", "via", "192.168.1.1")
        tunnels.ns(0, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        tunnels.ns(0, "nft", "table ip nat { chain post { type nat hook postrouting priority 100;"
                   " ip saddr 192.168.1.0/24 snat to 10.0.0.100; }; }")  # fmt: skip
        for knob in ("udp_timeout", "udp_timeout_stream"):
            tunnels.ns(0, "sh", "-c", f"echo 2 > /proc/sys/net/netfilter/nf_conntrack_{knob}")
        return self

    def point_devices_through(self) -> None:
        """Replace the devices by ones whose sockets are in ns1 and ns2 themselves."""
        tunnels = self.tunnels
        for number in (1, 2):
            tunnels.ip(number, "link", "del", f"wg{number}")
            gone = f"/run/wireguard/wg{number}.sock"
            tunnels.host.run("sh", "-c", f"while [ -e {gone} ]; do sleep 0.05; done", timeout=60)
            start_device(tunnels.host, "holloway", f"wg{number}", namespace=f"ns{number}")
            tunnels.configure(number)
        tunnels.set_peer(1, "endpoint", "10.0.0.2:2")

    def __exit__(self, *_: object) -> None:
        for number in (1, 2):
            self.tunnels.ip(0, "link", "del", f"r{number}")
        self.tunnels.ns(0, "nft", "delete table ip nat")


@pytest.fixture(scope="module")
def pair(tunnels: Tunnels) -> Tunnels:
    """The devices' sockets in ns1 and ns2, joined by one cable."""
    with NatRouter(tunnels) as router:
        router.point_devices_through()
    tunnels.ip(1, "link", "add", "veth1", "type", "veth", "peer", "name", "veth2", "netns", "ns2")
    for number in (1, 2):
        tunnels.ip(number, "addr", "add", f"10.0.0.{number}/24", "dev", f"veth{number}")
        tunnels.ip(number, "addr", "add", f"fd00:aa::{number}/96", "dev", f"veth{number}", "nodad")
        tunnels.ip(number, "link", "set", f"veth{number}", "up")
    return tunnels


def test_a_source_address_that_is_removed_is_given_up(pair: Tunnels) -> None:
    """The device answers from another address when the sticky one is gone."""
    pair.set_peer(1, "endpoint", "10.0.0.2:2")
    assert pair.ping(1, "192.168.241.2")
    pair.ip(1, "addr", "add", "10.0.0.10/24", "dev", "veth1")
    pair.ip(1, "addr", "del", "10.0.0.1/24", "dev", "veth1")
    pair.ip(1, "addr", "replace", "10.0.0.10/24", "dev", "veth1")
    assert pair.ping(1, "192.168.241.2")
    assert pair.endpoint(2) == "10.0.0.10:1"

    pair.set_peer(1, "endpoint", "[fd00:aa::2]:2")
    assert pair.ping(1, "192.168.241.2")
    pair.ip(1, "addr", "add", "fd00:aa::10/96", "dev", "veth1", "nodad")
    pair.ip(1, "addr", "del", "fd00:aa::1/96", "dev", "veth1")
    assert pair.ping(1, "192.168.241.2")
    assert pair.endpoint(2) == "[fd00:aa::10]:1"


def test_answers_leave_from_the_address_that_was_called(pair: Tunnels) -> None:
    """The far side has four addresses; each keeps answering as itself."""
    addresses = ["10.0.0.2", "10.0.0.52", "fd00:aa::2", "fd00:aa::52"]
    pair.ip(2, "addr", "add", "10.0.0.52/24", "dev", "veth2")
    pair.ip(2, "addr", "add", "fd00:aa::52/96", "dev", "veth2", "nodad")
    for address in addresses:
        endpoint = f"[{address}]:2" if ":" in address else f"{address}:2"
        pair.set_peer(1, "endpoint", endpoint)
        for _ in range(3):
            assert pair.ping(1, "192.168.241.2")
            assert pair.endpoint(1) == endpoint


def test_every_object_made_is_gone_when_a_device_ends(pair: Tunnels) -> None:
    for number in (1, 2):
        pair.ip(number, "link", "del", f"wg{number}")
    left = "ls /run/wireguard/*.sock 2>/dev/null || pgrep -f '[h]olloway-device wg'"
    pair.host.run("sh", "-c", f"while {left}; do sleep 0.1; done", timeout=60)
    assert pair.host.run("ls", "/run/wireguard").stdout == ""

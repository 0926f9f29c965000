"""The default route through an interface: what travels where, and with which firewall."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holloway.key import Key
from holloway.lab import Host
from holloway.lab.host import join
from quick_host import CONFIG, PRIVATE_KEY, QuickHost, peer, steps

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.spread]

GATEWAY_KEY = Key(bytes(range(1, 33))).clamped()
WITHOUT_NFT = """
mkdir -p /run/bin
for name in bash sh ip wg sysctl cat sort readlink stat resolvconf iptables-restore \
    iptables-save ip6tables-restore ip6tables-save iptables ip6tables sleep env; do
    found=$(command -v $name) && ln -sf $found /run/bin/$name
done
"""


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[Host, Host]]:
    """A laptop, and a gateway that is also everything beyond: 192.0.2.2 and 203.0.113.1."""
    with Host("hwq-laptop") as laptop, Host("hwq-gateway") as gateway:
        for each in (laptop, gateway):
            each.run("sh", "-c", "echo 0 | tee /proc/sys/net/ipv6/conf/*/accept_dad")
        join(laptop, gateway)
        laptop.run("ip", "address", "add", "192.0.2.1/24", "dev", "eth0")
        gateway.run("ip", "address", "add", "192.0.2.2/24", "dev", "eth0")
        laptop.run("ip", "address", "add", "fd00:a::1/64", "dev", "eth0")
        gateway.run("ip", "address", "add", "fd00:a::2/64", "dev", "eth0")
        gateway.run("ip", "address", "add", "203.0.113.1/32", "dev", "lo")
        gateway.run("ip", "address", "add", "fd00:f::1/128", "dev", "lo")
        laptop.run("ip", "route", "add", "default", "via", "192.0.2.2")
        laptop.run("ip", "route", "add", "default", "via", "fd00:a::2")
        yield laptop, gateway


@pytest.fixture(params=["holloway", "wireguard-go"])
def tunnel(
    hosts: tuple[Host, Host], request: pytest.FixtureRequest
) -> Iterator[tuple[QuickHost, QuickHost]]:
    """Both ends configured, the gateway's up."""
    laptop, gateway = (QuickHost(host, device=request.param) for host in hosts)
    laptop_key = Key.from_base64(PRIVATE_KEY).public().base64
    gateway.host.write(
        CONFIG,
        f"[Interface]\nPrivateKey = {GATEWAY_KEY.base64}\nListenPort = 51000\n"
        "Address = 10.90.90.2/24, fd00:9::2/64\n"
        f"[Peer]\nPublicKey = {laptop_key}\nAllowedIPs = 10.90.90.1/32, fd00:9::1/128\n",
    )
    laptop.configure(
        "Address = 10.90.90.1/24, fd00:9::1/64",
        f"[Peer]\nPublicKey = {GATEWAY_KEY.public().base64}\n"
        "Endpoint = 192.0.2.2:51000\nAllowedIPs = 0.0.0.0/0, ::/0\n",
    )
    done = gateway.wg_quick("up", "wg0")
    assert done.returncode == 0, done.stderr
    yield laptop, gateway
    laptop.wg_quick("down", "wg0")
    gateway.wg_quick("down", "wg0")


def ping(host: QuickHost, *arguments: str) -> bool:
    return host.host.run("ping", "-c1", "-W3", *arguments, check=False).returncode == 0


def test_everything_but_the_local_network_goes_through_the_tunnel(
    tunnel: tuple[QuickHost, QuickHost],
):
    laptop, gateway = tunnel
    assert laptop.wg_quick("up", "wg0").returncode == 0
    clear = gateway.host.popen(
        "timeout", "15", "tcpdump", "-i", "eth0", "-c", "1", "-nl", "-Q", "in",
        "host 203.0.113.1 or host fd00:f::1",
    )  # fmt: skip
    assert clear.stderr is not None
    while "listening on" not in clear.stderr.readline():
        pass
    inside = [ping(laptop, "203.0.113.1"), ping(laptop, "fd00:f::1")]
    local = [laptop.ip("route", "get", each)[0] for each in ("192.0.2.2", "fd00:a::2")]
    marked = laptop.ip("route", "get", "203.0.113.1", "mark", "51820")[0]
    clear.terminate()
    output, _ = clear.communicate()
    assert inside == [True, True]
    assert output.strip() == ""
    assert all(" dev eth0 " in route for route in [*local, marked])


def test_a_stranger_on_the_local_network_cannot_reach_the_tunnels_address(
    tunnel: tuple[QuickHost, QuickHost],
):
    laptop, gateway = tunnel
    gateway.wg_quick("down", "wg0")
    assert laptop.wg_quick("up", "wg0").returncode == 0
    gateway.host.run("ip", "route", "add", "10.90.90.1", "via", "192.0.2.1")
    gateway.host.run("ip", "route", "add", "fd00:9::1", "via", "fd00:a::1")
    capture = ("nft", "list", "table")
    reached = [ping(gateway, "-W1", "10.90.90.1"), ping(gateway, "-W1", "fd00:9::1")]
    rules = laptop.host.run(*capture, "ip", "wg-quick-wg0").stdout
    gateway.host.run("ip", "route", "delete", "10.90.90.1")
    gateway.host.run("ip", "route", "delete", "fd00:9::1")
    assert reached == [False, False]
    assert 'iifname != "wg0" ip daddr 10.90.90.1 fib saddr type != local drop' in rules


def test_coming_up_and_going_down_sends_nothing_local_into_the_tunnel(
    tunnel: tuple[QuickHost, QuickHost],
):
    laptop, _ = tunnel
    # Every change of rules and routes wakes this one, which asks the way each time.
    watch = (
        "ip monitor rule route | while read -r _; do"
        " ip route get 192.0.2.2; ip route get 203.0.113.1 mark 51820; done"
    )
    watching = laptop.host.popen("timeout", "20", "sh", "-c", watch)
    for _ in range(3):
        assert laptop.wg_quick("up", "wg0").returncode == 0
        assert laptop.wg_quick("down", "wg0").returncode == 0
    watching.terminate()
    output, _ = watching.communicate()
    asked = [line for line in output.splitlines() if line.startswith(("192.0.2.2", "203."))]
    assert asked
    assert [line for line in asked if "dev wg0" in line] == []


def test_two_interfaces_with_default_routes_do_not_take_each_others_rules(
    tunnel: tuple[QuickHost, QuickHost],
):
    laptop, _ = tunnel
    start = laptop.state()
    laptop.host.write(
        "/etc/wireguard/wg1.conf", f"[Interface]\nPrivateKey = {PRIVATE_KEY}\n{peer('0.0.0.0/0')}"
    )
    assert laptop.wg_quick("up", "wg0").returncode == 0
    before = laptop.state()
    assert laptop.wg_quick("up", "wg1").returncode == 0
    assert "not from all fwmark 0xca6d lookup 51821" in laptop.state()["ip rule; ip -6 rule"]
    assert laptop.wg_quick("down", "wg1").returncode == 0
    assert laptop.state()["ip rule; ip -6 rule"] == before["ip rule; ip -6 rule"]
    assert laptop.wg_quick("up", "wg1").returncode == 0
    assert laptop.wg_quick("down", "wg0").returncode == 0
    # The first was there first; what is left still asks the main table before its own.
    rules = [line.split(":\t")[1] for line in laptop.ip("rule")]
    assert laptop.wg_quick("down", "wg1").returncode == 0
    laptop.host.run("rm", "/etc/wireguard/wg1.conf")
    assert rules[1:3] == [
        "from all lookup main suppress_prefixlength 0",
        "not from all fwmark 0xca6d lookup 51821",
    ]
    assert laptop.state()["ip rule; ip -6 rule"] == start["ip rule; ip -6 rule"]


def without_nft(host: QuickHost, command: str) -> subprocess.CompletedProcess[str]:
    return host.host.run(
        "/usr/bin/env", "PATH=/run/bin", *host.command(command, "wg0"),
        check=False, environment=host.variables(),
    )  # fmt: skip


def test_without_nft_the_rules_are_the_originals_iptables_rules(hosts: tuple[Host, Host]):
    host, _ = hosts
    host.run("sh", "-c", WITHOUT_NFT)
    found = {}
    for quick, device in (("holloway", "holloway"), ("original", "wireguard-go")):
        each = QuickHost(host, quick, device)
        each.configure("Address = 10.1.0.1/24, fd00::1/64", peer("0.0.0.0/0, ::/0"))
        up = without_nft(each, "up")
        rules = [
            sorted(
                line
                for line in host.run(f"{program}-save").stdout.splitlines()
                if line.startswith("-A") and "fe80" not in line
            )
            for program in ("iptables", "ip6tables")
        ]
        down = without_nft(each, "down")
        left = host.run("sh", "-c", "iptables-save; ip6tables-save").stdout
        assert (up.returncode, down.returncode) == (0, 0), up.stderr + down.stderr
        assert "wg-quick" not in left
        found[quick] = (steps(up.stderr), rules, down.stderr)
    host.run("nft", "flush", "ruleset")
    assert found["holloway"] == found["original"]
    assert all(found["holloway"][1])

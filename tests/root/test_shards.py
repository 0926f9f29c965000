"""A hub with four shards and four peers, two of them wireguard-go: TCP both ways, to the hub and
through it, while shards start, sessions are new and the port changes.

Host N (1 to 4) is 10.98.0.N and fd98::N in the tunnel, the hub is 10.98.0.100 and fd98::100.
"""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from holloway.lab import Host, join
from hosts import DEVICES, ENVIRONMENT, WG, eventually, key_pair, program, result, start_device

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.spread]

SHARDS = 4
HUB = {4: "10.98.0.100", 6: "fd98::100"}
MEGABYTES = 20
DATAGRAMS = 5000
IMPLEMENTATIONS = {1: "holloway", 2: "wireguard-go", 3: "holloway", 4: "wireguard-go"}
TURNS = 20
"""How often a shard that is used is woken at least, and one that is not used never is."""


class Client:
    """A peer of the hub, on a link of its own."""

    def __init__(self, number: int, host: Host, hub: Hub) -> None:
        self.number = number
        self.host = host
        self.hub = hub
        self.keys = key_pair(host)
        join(hub.host, host, first_name=f"eth{number}")
        hub.host.run("ip", "address", "add", f"10.99.{number}.1/24", "dev", f"eth{number}")
        host.run("ip", "address", "add", f"10.99.{number}.2/24", "dev", "eth0")
        start_device(host, IMPLEMENTATIONS[number], "wg0")
        host.write("/run/key", self.keys.private)
        host.run(WG["original"], "set", "wg0", "private-key", "/run/key")
        self.add_hub()
        address(host, number)

    def add_hub(self) -> None:
        """Add the hub as a peer, which begins a new session if it was removed before."""
        self.host.run(WG["original"], "set", "wg0", "peer", self.hub.keys.public,
                      "allowed-ips", "10.98.0.0/24,fd98::/64",
                      "endpoint", f"10.99.{self.number}.1:51820")  # fmt: skip

    def remove_hub(self) -> None:
        self.host.run(WG["original"], "set", "wg0", "peer", self.hub.keys.public, "remove")

    def inner(self, version: int) -> str:
        return {4: f"10.98.0.{self.number}", 6: f"fd98::{self.number}"}[version]

    def ping(self, to: str = HUB[4]) -> bool:
        shown = self.host.run("ping", "-n", "-c", "1", "-W", "10", to, check=False).stdout
        return " bytes from " in shown


class Hub:
    """The device with several shards."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.keys = key_pair(host)
        start_device(host, "holloway", "wg0", environment={"HOLLOWAY_SHARDS": str(SHARDS)})
        host.write("/run/key", self.keys.private)
        self.wg("set", "wg0", "private-key", "/run/key", "listen-port", "51820")
        address(host, 100)
        host.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward;"
                             "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding")  # fmt: skip

    def wg(self, *arguments: str) -> str:
        return self.host.run(WG["holloway"], *arguments).stdout

    def add(self, client: Client) -> None:
        self.wg("set", "wg0", "peer", client.keys.public, "allowed-ips",
                f"{client.inner(4)}/32,{client.inner(6)}/128")  # fmt: skip

    def shards(self) -> list[int]:
        """Return how often each shard went to sleep so far."""
        command = "grep -l holloway-shard /proc/[0-9]*/task/*/comm | sed s/comm/status/ | sort"
        shown = self.host.run("sh", "-c", f"grep -h ^voluntary $({command})").stdout
        return [int(line.split()[1]) for line in shown.splitlines()]


def address(host: Host, number: int) -> None:
    host.run("ip", "address", "add", f"10.98.0.{number}/24", "dev", "wg0")
    host.run("ip", "address", "add", f"fd98::{number}/64", "dev", "wg0", "nodad")
    host.run("ip", "link", "set", "wg0", "mtu", "1420", "up")


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Host("hub") as host:
        yield Hub(host)


@pytest.fixture
def clients(hub: Hub) -> Iterator[list[Client]]:
    """Four, of which the hub knows none yet."""
    hosts = [Host(f"client{number}") for number in IMPLEMENTATIONS]
    try:
        for host in hosts:
            host.start()
        yield [Client(number, host, hub) for number, host in enumerate(hosts, 1)]
    finally:
        for host in hosts:
            host.stop()


Transfer = tuple["subprocess.Popen[str]", "subprocess.Popen[str]"]


def begin(sender: Host, receiver: Host, to: str, port: int, megabytes: int = MEGABYTES) -> Transfer:
    receiving = program(receiver, "tcp_receive", to, str(port))
    return program(sender, "tcp_send", to, str(port), str(megabytes)), receiving


def count(sender: Host, receiver: Host, to: str, port: int) -> Transfer:
    """Begin to send numbered datagrams, of which some may be lost."""
    receiving = program(receiver, "numbered_receive", to, str(port))
    return program(sender, "numbered_send", to, str(port), str(DATAGRAMS)), receiving


def end(transfer: Transfer) -> None:
    """Check that what was sent has come, unchanged."""
    sent, received = map(result, transfer)
    assert sent == received


@pytest.mark.parametrize("version", [4, 6])
def test_all_shards_carry_tcp_both_ways_to_the_hub_and_through_it_in_order(
    hub: Hub, clients: list[Client], version: int
) -> None:
    for client in clients:
        hub.add(client)
    assert all(client.ping(to) for client in clients for to in HUB.values())
    before = hub.shards()
    assert len(before) == SHARDS
    transfers, flows = [], []
    for number, client in enumerate(clients):
        far = clients[number - 1]
        to_client, to_hub, to_far = client.inner(version), HUB[version], far.inner(version)
        transfers += [
            begin(client.host, hub.host, to_hub, 5000 + client.number),
            begin(hub.host, client.host, to_client, 5100),
            begin(client.host, far.host, to_far, 5200),
        ]
        flows += [
            count(client.host, hub.host, to_hub, 6000 + client.number),
            count(hub.host, client.host, to_client, 6100),
            count(client.host, far.host, to_far, 6200),
        ]
    for transfer in transfers:
        end(transfer)
    for sending, receiving in flows:
        result(sending)
        found = result(receiving)
        assert found["late"] == 0, found
        assert found["received"] != 0, found
    woken = [after - first for first, after in zip(before, hub.shards(), strict=True)]
    assert min(woken) >= TURNS, woken


def test_a_shard_starts_with_each_peer_while_packets_flow(hub: Hub, clients: list[Client]) -> None:
    hub.add(clients[0])
    assert clients[0].ping()
    assert len(hub.shards()) == 1
    transfers = [
        begin(hub.host, clients[0].host, clients[0].inner(4), 5000, 10 * MEGABYTES),
        begin(clients[0].host, hub.host, HUB[4], 5001, 10 * MEGABYTES),
    ]
    for number, client in enumerate(clients[1:], 2):
        hub.add(client)
        assert client.ping()
        assert len(hub.shards()) == number
    for transfer in transfers:
        end(transfer)
    hub.add(clients[0])
    assert len(hub.shards()) == SHARDS


def test_new_sessions_and_another_port_lose_no_stream(hub: Hub, clients: list[Client]) -> None:
    for client in clients:
        hub.add(client)
    assert all(client.ping() for client in clients)
    transfers = [
        begin(hub.host, client.host, client.inner(4), 5000, 3 * MEGABYTES) for client in clients
    ]
    hub.wg("set", "wg0", "listen-port", "51999", "fwmark", "7")
    for client in clients:
        client.remove_hub()
        client.add_hub()
        client.host.run(WG["original"], "set", "wg0", "peer", hub.keys.public, "endpoint",
                        f"10.99.{client.number}.1:51999")  # fmt: skip
    for transfer in transfers:
        end(transfer)
    hub.wg("set", "wg0", "listen-port", "51820")
    # The clients learn the port from what the hub sends.
    for client in clients:
        hub.host.run("ping", "-n", "-c", "1", "-W", "10", client.inner(4))
    assert all(client.ping() for client in clients)


def test_an_idle_shard_is_not_woken(hub: Hub, clients: list[Client]) -> None:
    for client in clients:
        hub.add(client)
    assert clients[0].ping()
    before = hub.shards()
    end(begin(clients[0].host, hub.host, HUB[4], 5000))
    woken = sorted(after - first for first, after in zip(before, hub.shards(), strict=True))
    assert woken[:-1] == [0] * (SHARDS - 1)
    assert woken[-1] >= TURNS


def test_the_device_follows_its_interface_and_ends_with_it(hub: Hub, clients: list[Client]) -> None:
    """Down, up, and gone, with all shards."""
    for client in clients:
        hub.add(client)
    hub.host.run("ip", "link", "set", "wg0", "down")
    hub.host.run("ip", "link", "set", "wg0", "up")
    assert all(client.ping() for client in clients)
    hub.host.run("ip", "link", "delete", "wg0")
    gone = ["sh", "-c", "! [ -e /run/wireguard/wg0.sock ]"]
    assert eventually(lambda: hub.host.run(*gone, check=False).returncode == 0)
    assert eventually(lambda: hub.host.run("pgrep", "holloway-shard", check=False).stdout == "")


@pytest.mark.parametrize("number", ["0", "65", "-1", "many", "1.5", "٣"])
def test_a_wrong_number_of_shards_is_refused(number: str) -> None:
    with Host("wrong") as host:
        refused = host.run(*DEVICES["holloway"], "wg0", check=False,
                           environment=ENVIRONMENT | {"HOLLOWAY_SHARDS": number})  # fmt: skip
        assert refused.returncode == 1
        assert re.search(r"HOLLOWAY_SHARDS must be a number from 1 to 64, not '", refused.stderr)
        assert "Traceback" not in refused.stderr

"""A device that is restarted or killed: what it remembers, what it leaves, how soon it is back."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from holloway.lab import Host, join
from hosts import DEVICES, REPOSITORY, WG, eventually, key_pair, start_device

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.spread]

OUTSIDE = {4: ("10.99.0.{}", "10.99.0.{}:51820"), 6: ("fd99::{}", "[fd99::{}]:51820")}
RECORD = "/run/wireguard/wg0.sessions"
UNIT = (REPOSITORY / "units/holloway-device@.service").read_text().replace("%i", "wg0")
SUPERVISOR = """
while :; do
    "$1" -f wg0 & device=$!
    until wg show wg0 >/run/shown 2>&1; do sleep 0.02; done
    {configure}
    wait $device
    echo ended >>/run/ends
done
""".replace("{configure}", "\n".join(re.findall(r"^ExecStartPost=-?(.*)$", UNIT, re.MULTILINE)))
"""What systemd does with our unit."""


class Sites:
    """A client, host 1, and a hub, host 2, which learns the client's endpoint from packets."""

    def __init__(self, hosts: tuple[Host, Host], version: int) -> None:
        self.hosts = hosts
        self.client, self.hub = hosts
        self.keys = [key_pair(host) for host in hosts]
        join(*hosts)
        self.addresses, self.endpoints = OUTSIDE[version]
        for number, host in enumerate(hosts, 1):
            length = 24 if version == 4 else 64
            nodad = ["nodad"] if version == 6 else []
            host.run("ip", "address", "add", f"{self.addresses.format(number)}/{length}",
                     "dev", "eth0", *nodad)  # fmt: skip
            endpoint = f"Endpoint = {self.endpoints.format(2)}\n" if number == 1 else ""
            host.write(
                "/run/wg0.conf",
                f"""\
[Interface]
PrivateKey = {self.keys[number - 1].private}
ListenPort = 51820
[Peer]
PublicKey = {self.keys[2 - number].public}
AllowedIPs = 10.98.0.{3 - number}/32, fd98::{3 - number}/128
{endpoint}""",
            )

    def start(self, number: int, environment: Mapping[str, str] | None = None) -> None:
        host = self.hosts[number - 1]
        start_device(host, "holloway", "wg0", environment=environment or {})
        host.run(WG["original"], "setconf", "wg0", "/run/wg0.conf")
        self.set_up(number)

    def set_up(self, number: int) -> None:
        host = self.hosts[number - 1]
        host.run("ip", "address", "add", f"10.98.0.{number}/24", "dev", "wg0")
        host.run("ip", "address", "add", f"fd98::{number}/64", "dev", "wg0")
        host.run("ip", "link", "set", "wg0", "mtu", "1300", "up")

    def end(self, number: int, signal: str = "TERM") -> None:
        host = self.hosts[number - 1]
        host.run("pkill", f"-{signal}", "-f", "[h]olloway-device")
        assert eventually(lambda: not processes(host))

    def ping(self, sender: int = 1, *, inner: str = "10.98.0.{}") -> bool:
        address = inner.format(3 - sender)
        done = self.hosts[sender - 1].run("ping", "-n", "-c", "1", "-W", "2", address, check=False)
        return done.returncode == 0

    def handshakes(self, number: int) -> int:
        """The time of the last handshake with the peer, 0 for none."""
        shown = self.hosts[number - 1].run(WG["original"], "show", "wg0", "latest-handshakes")
        return int(shown.stdout.split()[1])


def processes(host: Host) -> list[str]:
    return host.run("pgrep", "-f", "[h]olloway-device", check=False).stdout.split()


def record(host: Host) -> str:
    return host.run("cat", RECORD, check=False).stdout


@pytest.fixture(params=[4, 6])
def sites(request: pytest.FixtureRequest) -> Iterator[Sites]:
    with Host("client") as client, Host("hub") as hub:
        yield Sites((client, hub), request.param)


def test_a_restarted_hub_begins_sessions_with_peers_that_are_silent(sites: Sites) -> None:
    sites.start(1)
    sites.start(2)
    assert eventually(sites.ping)
    assert eventually(lambda: record(sites.hub))
    sites.end(2)
    assert sites.endpoints.format(1).rsplit(":", 1)[0].strip("[]") in record(sites.hub)
    sites.start(2)
    # Nobody sends, and no endpoint of the client is configured.
    assert eventually(lambda: sites.handshakes(2))
    assert sites.ping(2, inner="fd98::{}")


def test_the_record_is_roots_alone_and_has_no_secret(sites: Sites) -> None:
    sites.start(1)
    sites.start(2)
    assert eventually(sites.ping)
    assert eventually(lambda: record(sites.hub))
    assert sites.hub.run("stat", "-c", "%a %u", RECORD).stdout == "600 0\n"
    keys = re.findall(r"[A-Za-z0-9+/]{43}=", record(sites.hub))
    assert keys == [sites.keys[0].public]


def test_a_deleted_interface_leaves_no_record(sites: Sites) -> None:
    sites.start(1)
    sites.start(2)
    assert eventually(sites.ping)
    assert eventually(lambda: record(sites.hub))
    sites.hub.run("ip", "link", "del", "wg0")
    assert eventually(lambda: not processes(sites.hub))
    assert sites.hub.run("ls", "/run/wireguard").stdout == ""


def test_data_for_a_lost_session_brings_up_a_new_one_without_a_record(sites: Sites) -> None:
    sites.start(1)
    sites.start(2)
    assert eventually(sites.ping)
    sites.end(1)
    sites.client.run("rm", "-f", RECORD)
    sites.start(1)  # it has the hub's endpoint, and only the hub sends
    assert eventually(lambda: sites.ping(2))
    assert sites.handshakes(1)


def test_all_of_it_can_be_switched_off(sites: Sites) -> None:
    off = {"HOLLOWAY_RECONNECT": "off"}
    sites.start(1, off)
    sites.start(2)
    assert eventually(sites.ping)
    sites.end(1)
    assert not record(sites.client)
    sites.start(1, off)
    assert not sites.ping(2)
    assert not sites.handshakes(1)


def test_a_killed_device_leaves_its_interface_to_the_next(sites: Sites) -> None:
    sites.start(1)
    assert "HOLLOWAY_PERSISTENT=1" in UNIT
    sites.hub.run("sh", "-c", "mkdir -p /etc/wireguard; cp /run/wg0.conf /etc/wireguard/")
    with supervised(sites.hub):
        sites.set_up(2)
        sites.hub.run("ip", "route", "add", "10.97.0.0/16", "dev", "wg0")
        assert eventually(sites.ping)
        before = [shown(sites.hub, *words) for words in SHOWN]
        for _ in range(2):
            sites.hub.run("pkill", "-KILL", "-f", "[h]olloway-device -f")
            assert eventually(sites.ping)
            assert eventually(lambda: sites.ping(2, inner="fd98::{}"))
            assert [shown(sites.hub, *words) for words in SHOWN] == before
        assert "mtu 1300" in sites.hub.run("ip", "link", "show", "wg0").stdout
        assert len(sites.hub.run("cat", "/run/ends").stdout.split()) >= 2


@contextmanager
def supervised(host: Host) -> Iterator[None]:
    """Run a device that is started again whenever it ends, and configured each time."""
    device = DEVICES["holloway"][0]
    path = f"{device.rsplit('/', 1)[0]}:/usr/bin:/bin:/usr/sbin:/sbin"
    script = f"echo $$ >/run/supervisor\n{SUPERVISOR}"
    process = host.popen("sh", "-c", f'exec >/dev/null 2>&1\n{script}', "supervisor", device,
                         environment={"HOLLOWAY_PERSISTENT": "1", "PATH": path})  # fmt: skip
    try:
        assert eventually(lambda: host.run("ip", "link", "show", "wg0", check=False).stdout)
        yield
    finally:
        host.run("sh", "-c", "kill $(cat /run/supervisor); pkill -f '[h]olloway-device -f'")
        process.communicate()


SHOWN = (("address", "show", "dev", "wg0"), ("-4", "route"), ("-6", "route"))


def shown(host: Host, *words: str) -> list[str]:
    """The addresses or routes."""
    lines = host.run("ip", *words).stdout.splitlines()
    return [line.strip() for line in lines if "dev wg0" in line or "inet" in line]


def test_an_orderly_end_removes_a_persistent_interface(sites: Sites) -> None:
    sites.start(1, {"HOLLOWAY_PERSISTENT": "1"})
    sites.end(1)
    assert sites.client.run("ip", "link", "show", "wg0", check=False).returncode

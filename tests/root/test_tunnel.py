"""A tunnel between two hosts: under load and floods, with a firewall mark, with a link that goes
down and comes up again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from holloway.lab import Host, join
from hosts import WG, eventually, key_pair, program, result, start_device

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.spread]


class Side:
    """A host, its keys, and the tunnel's address on it: 10.98.0.1 or .2."""

    def __init__(self, number: int, host: Host) -> None:
        self.number = number
        self.host = host
        self.keys = key_pair(host, WG["holloway"])

    def configure(self, other: Side, *settings: str) -> None:
        self.host.write("/run/key", self.keys.private)
        self.host.run(WG["holloway"], "set", "wg0", "private-key", "/run/key",
                      "listen-port", "51820", "peer", other.keys.public, "allowed-ips",
                      f"10.98.0.{other.number}/32", *settings)  # fmt: skip
        self.host.run("ip", "address", "add", f"10.98.0.{self.number}/24", "dev", "wg0")
        self.host.run("ip", "link", "set", "wg0", "up")

    def ping(self, count: int = 1, seconds: int = 1) -> int:
        """Return how many answers came; the first may take `seconds`."""
        address = f"10.98.0.{3 - self.number}"
        shown = self.host.run("ping", "-n", "-c", str(count), "-i", "0.2", "-W", str(seconds),
                              address, check=False).stdout  # fmt: skip
        return shown.count(" bytes from ")

    def latest_handshake(self) -> int:
        shown = self.host.run(WG["holloway"], "show", "wg0", "latest-handshakes").stdout
        return int(shown.split()[1])


@pytest.fixture
def sides() -> Iterator[tuple[Side, Side]]:
    """Two hosts on a cable; the first one knows where the second one is."""
    with Host("first") as first, Host("second") as second:
        join(first, second)
        sides = Side(1, first), Side(2, second)
        for side in sides:
            side.host.run("ip", "address", "add", f"10.99.0.{side.number}/24", "dev", "eth0")
            start_device(side.host, "holloway", "wg0")
        sides[0].configure(sides[1], "endpoint", "10.99.0.2:51820")
        sides[1].configure(sides[0])
        yield sides


def test_a_flood_of_handshakes_stops_neither_data_nor_an_honest_handshake(
    sides: tuple[Side, Side],
) -> None:
    """Spoofed initiations with the right mac1, thousands a second, from 200 addresses.

    An established session loses nothing, and a new peer gets in with a cookie.
    """
    first, second = sides
    second.host.run("nft", COUNT_COOKIES)
    assert first.ping() == 1
    flood = program(second.host, "handshake_flood", "127.0.0.1", "51820", second.keys.public)
    assert eventually(lambda: cookies(second.host) > 0), "there is no flood yet"
    assert first.ping(count=20, seconds=20) == 20
    first.host.run(WG["holloway"], "set", "wg0", "peer", second.keys.public, "remove")
    first.host.run(WG["holloway"], "set", "wg0", "peer", second.keys.public, "allowed-ips",
                   "10.98.0.2/32", "endpoint", "10.99.0.2:51820")  # fmt: skip
    assert eventually(lambda: first.ping() == 1)
    before = cookies(second.host)
    assert eventually(lambda: cookies(second.host) > before), "the flood goes on"
    # From inside, for the parent outside does not pass signals on.
    second.host.run("pkill", "-f", "[h]andshake_flood")
    flood.communicate()
    assert first.latest_handshake() > 0


# A cookie reply has 64 bytes (paper, 5.4.7), and 8 of UDP's.
COUNT_COOKIES = (
    "table inet flood { chain out { type filter hook output priority 0;"
    " udp sport 51820 udp length 72 counter name cookies; }; counter cookies {}; }"
)


def counted(host: Host, table: str, counter: str) -> int:
    """Return the packets of a counter."""
    shown = host.run("nft", "list", "counter", "inet", table, counter).stdout
    return int(re.findall(r"packets (\d+)", shown)[0])


def cookies(host: Host) -> int:
    return counted(host, "flood", "cookies")


def test_encrypted_packets_carry_the_fwmark(sides: tuple[Side, Side]) -> None:
    first, _ = sides
    first.host.run("nft", "table inet count { chain out { type filter hook output priority 0;"
                   " udp dport 51820 meta mark 0xca6c counter name marked;"
                   " udp dport 51820 meta mark 0 counter name plain; };"
                   " counter marked {}; counter plain {}; }")  # fmt: skip

    def packets(name: str) -> int:
        return counted(first.host, "count", name)

    assert first.ping() == 1
    assert packets("marked") == 0
    assert (before := packets("plain")) > 0
    first.host.run(WG["holloway"], "set", "wg0", "fwmark", "0xca6c")
    assert first.ping() == 1
    assert (packets("marked") > 0, packets("plain")) == (True, before)


def test_a_link_that_goes_down_and_up_makes_a_new_session(sides: tuple[Side, Side]) -> None:
    first, _ = sides
    assert first.ping() == 1
    port = first.host.run("ss", "-Hlun", "sport = :51820").stdout
    assert "51820" in port
    first.host.run("ip", "link", "set", "wg0", "down")
    assert eventually(lambda: not first.host.run("ss", "-Hlun", "sport = :51820").stdout)
    first.host.run("ip", "link", "set", "wg0", "up")
    assert eventually(lambda: first.ping() == 1)


def test_a_link_that_was_down_while_the_device_was_busy_makes_a_new_session(
    sides: tuple[Side, Side],
) -> None:
    """The device learns that it was down only when it is up again."""
    first, _ = sides
    assert first.ping() == 1
    first.host.run("nft", COUNT_INITIATIONS)
    first.host.run("pkill", "-STOP", "holloway-device")
    first.host.run("ip", "link", "set", "wg0", "down")
    first.host.run("ip", "link", "set", "wg0", "up")
    first.host.run("pkill", "-CONT", "holloway-device")
    assert eventually(lambda: first.ping() == 1 and initiations(first.host) > 0)


# An initiation has 148 bytes (paper, 5.4.2), and 8 of UDP's.
COUNT_INITIATIONS = (
    "table inet begun { chain out { type filter hook output priority 0;"
    " udp dport 51820 udp length 156 counter name initiations; }; counter initiations {}; }"
)


def initiations(host: Host) -> int:
    return counted(host, "begun", "initiations")


def test_another_underlay_is_taken_when_the_first_one_ends(sides: tuple[Side, Side]) -> None:
    """The old address stays and no send fails: only the route shows the change."""
    first, second = sides
    join(first.host, second.host, first_name="eth1", second_name="eth1")
    for side in sides:
        side.host.run("ip", "address", "add", f"10.97.0.{side.number}/24", "dev", "eth1")
    assert first.ping() == 1
    second.host.run("ip", "link", "set", "eth0", "down")
    first.host.run("ip", "route", "add", "10.99.0.2", "via", "10.97.0.2")
    assert eventually(lambda: first.ping() == 1)
    shown = second.host.run(WG["holloway"], "show", "wg0", "endpoints").stdout
    assert shown.split()[1] == "10.97.0.1:51820"


def test_both_directions_at_once_arrive_unchanged_while_the_mtu_changes(
    sides: tuple[Side, Side],
) -> None:
    first, second = sides
    receiving = [program(side.host, "tcp_receive", f"10.98.0.{side.number}", "5000")
                 for side in sides]  # fmt: skip
    sending = [program(side.host, "tcp_send", f"10.98.0.{3 - side.number}", "5000", "200")
               for side in sides]  # fmt: skip
    for mtu in ("1400", "1280", "576", "9000", "1420"):
        for side in (first, second):
            side.host.run("ip", "link", "set", "wg0", "mtu", mtu)
    sent = [result(one) for one in sending]
    received = [result(one) for one in receiving]
    assert sent == received[::-1]

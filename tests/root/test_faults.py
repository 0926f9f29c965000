"""Faults of the link, the cable or the underlay while traffic runs: packets may be lost, none is
changed, and traffic goes on.

Ours on one host, ours or wireguard-go on the other, TCP and UDP in both directions and both IP
versions at once; UDP of all sizes, up to the largest there is, singly and in segmented trains.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from tunnel import Tunnel

from hosts import eventually, program, result

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    Step = Callable[[Tunnel], None]

pytestmark = [pytest.mark.root, pytest.mark.interop, pytest.mark.slow, pytest.mark.spread("tunnel")]

SECONDS = 2.0
"""Of traffic; the steps of a fault come one after the other in it."""
LARGEST = 65_507
"""With the headers of ICMP and IPv4 65,535 bytes."""
INSIDE = {4: "10.98.0.", 6: "fd98::"}


def mtu(interface: str, size: int) -> Step:
    return lambda tunnel: on_both(tunnel, "ip", "link", "set", interface, "mtu", str(size))


def largest_mtu(tunnel: Tunnel) -> None:
    """Only on our side: wireguard-go exits on a packet that does not fit into a datagram."""
    for host, device in zip(tunnel.hosts, tunnel.devices, strict=True):
        if device == "holloway":
            host.run("ip", "link", "set", "wg0", "mtu", "65535")


def offloads(interface: str, state: str, *features: str) -> Step:
    settings = [word for feature in features for word in (feature, state)]
    return lambda tunnel: on_both(tunnel, "ethtool", "-K", interface, *settings)


def queue(*discipline: str) -> Step:
    return lambda tunnel: on_both(tunnel, "tc", "qdisc", "replace", "dev", "eth0", "root",
                                  *discipline)  # fmt: skip


def no_queue(tunnel: Tunnel) -> None:
    on_both(tunnel, "tc", "qdisc", "delete", "dev", "eth0", "root")


def cable(state: str) -> Step:
    return lambda tunnel: on_both(tunnel, "ip", "link", "set", "eth0", state)


def backlog(packets: int) -> Step:
    return lambda tunnel: on_both(tunnel, "ip", "link", "set", "wg0", "txqueuelen", str(packets))


def on_both(tunnel: Tunnel, *command: str) -> None:
    for host in tunnel.hosts:
        host.run(*command)


TUN_OFFLOADS = ("tx-udp-segmentation", "tso", "gso", "tx")
CABLE_OFFLOADS = ("tx-udp-segmentation", "gro", "tso", "gso")

FAULTS: dict[str, list[Step]] = {
    "the tunnel's MTU changes": [
        *(mtu("wg0", size) for size in (1280, 9000, 1400)),
        largest_mtu,
        mtu("wg0", 1420),
    ],
    "the cable's MTU changes": [mtu("eth0", size) for size in (1280, 600, 9000, 1500)],
    "the TUN's offloads go and come": [
        offloads("wg0", state, *TUN_OFFLOADS) for state in ("off", "on", "off", "on")
    ],
    "the card's offloads go and come": [
        offloads("eth0", state, *CABLE_OFFLOADS) for state in ("off", "on", "off", "on")
    ],
    "a card without checksums": [
        offloads("eth0", "off", "tx", "rx"),
        lambda _: None,
        lambda _: None,
        offloads("eth0", "on", "tx", "rx"),
    ],
    "a short queue that is full": [
        queue("tbf", "rate", "100mbit", "burst", "16k", "limit", "20k"),
        lambda _: None,
        no_queue,
    ],
    "a long queue that fills the socket": [
        queue("tbf", "rate", "300mbit", "burst", "64k", "limit", "30m"),
        lambda _: None,
        no_queue,
    ],
    "a backlog of one packet": [backlog(1), lambda _: None, backlog(500)],
    "the cable is pulled": [cable("down"), cable("up")],
    "nothing, after all that": [],
}


@pytest.fixture(scope="module", params=["holloway", "wireguard-go"])
def tunnel(request: pytest.FixtureRequest) -> Iterator[Tunnel]:
    """One tunnel for all faults, one after the other."""
    with ExitStack() as stack:
        tunnel = Tunnel("holloway", stack, other=request.param)
        # What has lost a fragment else fills the kernel's room for them for 30 seconds.
        on_both(tunnel, "sysctl", "-q", "net.ipv4.ipfrag_time=1", "net.ipv6.ip6frag_time=1")
        yield tunnel


class Traffic:
    """TCP and UDP, one of each in each direction."""

    def __init__(self, tunnel: Tunnel, seconds: float) -> None:
        self.receiving: list[subprocess.Popen[str]] = []
        self.sending: list[subprocess.Popen[str]] = []
        for name, port, version, receiver in (
            ("tcp", "5004", 4, 2), ("tcp", "5006", 6, 1),
            ("datagrams", "6004", 4, 1), ("datagrams", "6006", 6, 2),
        ):  # fmt: skip
            address = f"{INSIDE[version]}{receiver}"
            right, left = tunnel.hosts[receiver - 1], tunnel.hosts[2 - receiver]
            self.receiving.append(program(right, f"{name}_receive", address, port))
            send = {"tcp": "tcp_send_for", "datagrams": "datagrams_send"}[name]
            self.sending.append(program(left, send, address, port, str(seconds)))

    def arrives(self) -> list[dict[str, object]]:
        """Wait for its end and check it; returns what came of the datagrams of IPv4 and IPv6."""
        sent = [result(one) for one in self.sending]
        received = [result(one) for one in self.receiving]
        assert received[:2] == sent[:2]
        assert [one["wrong"] for one in received[2:]] == [0, 0]
        assert [one["again"] for one in received[2:]] == [0, 0]
        return received[2:]


def everything_goes(tunnel: Tunnel) -> None:
    """Check that the tunnel works as it did before the fault."""
    assert eventually(lambda: echoes(tunnel, "10.98.0.2"))
    assert eventually(lambda: echoes(tunnel, "fd98::2"))


def echoes(tunnel: Tunnel, address: str) -> bool:
    """Return whether three of the largest packets are all answered."""
    ping = ("ping", "-n", "-c", "3", "-i", "0.05", "-W", "1", "-s", str(LARGEST), address)
    return " 3 received" in tunnel.hosts[0].run(*ping, check=False).stdout


@pytest.mark.parametrize("fault", FAULTS)
def test_packets_are_lost_but_never_changed_and_nothing_stops(tunnel: Tunnel, fault: str) -> None:
    traffic, steps = Traffic(tunnel, SECONDS), FAULTS[fault]
    for step in steps:
        time.sleep(SECONDS / (len(steps) + 1))
        step(tunnel)
    for came in traffic.arrives():
        assert int(str(came["right"])) > 0
    everything_goes(tunnel)


def test_a_link_that_loses_doubles_damages_and_delays_changes_nothing(tunnel: Tunnel) -> None:
    """A relay on the second host carries between the first one's device and the second one's."""
    link = program(tunnel.hosts[1], "lossy_link", "10.99.0.2", "51821", "51822", "51820")
    assert eventually(lambda: led(tunnel, "10.99.0.2:51821", "10.99.0.2:51822"))
    for came in Traffic(tunnel, SECONDS).arrives():
        assert int(str(came["right"])) > 0
    assert eventually(lambda: led(tunnel, "10.99.0.2:51820", "10.99.0.1:51820"))
    everything_goes(tunnel)
    result(program(tunnel.hosts[1], "udp_send", "10.99.0.2", "51821", ""))
    assert int(str(result(link)["damaged"])) > 0


def led(tunnel: Tunnel, *endpoints: str) -> bool:
    """Set both endpoints; return whether they stayed, for a late packet moves them back."""
    for number, endpoint in enumerate(endpoints, 1):
        public = tunnel.keys[2 - number].public
        tunnel.wg(number, "set", "wg0", "peer", public, "endpoint", endpoint)
    tunnel.hosts[0].run("ping", "-c", "1", "-W", "1", "10.98.0.2", check=False)
    shown = [tunnel.wg(number, "show", "wg0", "endpoints").split()[1] for number in (1, 2)]
    return shown == list(endpoints)

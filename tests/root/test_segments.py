"""How large packets are passed on: one read of the interface is one send to the peer."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import pytest

from holloway.device.gso import gso_max_size
from holloway.lab import Host, join
from hosts import WG, eventually, key_pair, program, result, start_device

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.spread]

OUTER = 9100
"""The cable's MTU: enough for what a tunnel of 9,000 makes."""


@pytest.fixture
def hosts() -> Iterator[tuple[Host, Host]]:
    """Two hosts with a tunnel between 10.98.0.1 and 10.98.0.2."""
    with Host("wide1") as first, Host("wide2") as second:
        join(first, second)
        hosts = first, second
        keys = [key_pair(host, WG["holloway"]) for host in hosts]
        for number, host in enumerate(hosts, 1):
            other = 3 - number
            host.run("ip", "address", "add", f"10.99.0.{number}/24", "dev", "eth0")
            host.run("ip", "link", "set", "eth0", "mtu", str(OUTER))
            start_device(host, "holloway", "wg0")
            host.write("/run/key", keys[number - 1].private)
            host.run(WG["holloway"], "set", "wg0", "private-key", "/run/key", "listen-port",
                     "51820", "peer", keys[other - 1].public, "allowed-ips", f"10.98.0.{other}/32",
                     "endpoint", f"10.99.0.{other}:51820")  # fmt: skip
            host.run("ip", "address", "add", f"10.98.0.{number}/24", "dev", "wg0")
            host.run("ip", "link", "set", "wg0", "up")
        yield hosts


def limit(host: Host) -> int:
    shown = json.loads(host.run("ip", "-d", "-j", "link", "show", "wg0").stdout)
    size: int = shown[0]["gso_max_size"]
    return size


def sent(host: Host, interface: str) -> tuple[int, int]:
    """Packets and bytes that an interface has given to what is below; a superpacket is one."""
    shown = host.run("ip", "-s", "-j", "link", "show", interface).stdout
    counters = json.loads(shown)[0]["stats64"]["tx"]
    return counters["packets"], counters["bytes"]


@pytest.mark.parametrize("mtu", [1420, 1280, 9000])
def test_a_read_of_the_interface_leaves_in_one_send(hosts: tuple[Host, Host], mtu: int) -> None:
    """No superpacket is cut in two, whatever the MTU is changed to; and they are large."""
    for host in hosts:
        host.run("ip", "link", "set", "wg0", "mtu", str(mtu))
        assert eventually(lambda host=host: limit(host) == gso_max_size(mtu))  # type: ignore[misc]
    before = sent(hosts[0], "wg0"), sent(hosts[0], "eth0")
    receiver = program(hosts[1], "tcp_receive", "10.98.0.2", "5001")
    sender = program(hosts[0], "tcp_send", "10.98.0.2", "5001", "150")
    assert result(receiver) == result(sender)
    reads, size = (now - old for now, old in zip(sent(hosts[0], "wg0"), before[0], strict=True))
    sends = sent(hosts[0], "eth0")[0] - before[1][0]
    assert size / reads > gso_max_size(mtu) / 2, "they must be large for this to say anything"
    assert sends < reads * 1.05


def test_the_limit_follows_the_interface_into_another_namespace(hosts: tuple[Host, Host]) -> None:
    """A move resets the setting, and the MTU may have changed by then."""
    host = hosts[0]
    host.run("ip", "link", "set", "wg0", "mtu", "1300")
    assert eventually(lambda: limit(host) == gso_max_size(1300))
    name = f"deeper{os.getpid()}"
    host.run("ip", "netns", "add", name)
    host.run("ip", "link", "set", "wg0", "netns", name)

    def there() -> int:
        shown = host.run("ip", "-n", name, "-d", "-j", "link", "show", "wg0").stdout
        size: int = json.loads(shown)[0]["gso_max_size"]
        return size

    assert eventually(lambda: there() == gso_max_size(1300))
    host.run("ip", "-n", name, "link", "set", "wg0", "mtu", "1400")
    assert eventually(lambda: there() == gso_max_size(1400))


SEND_TRAINS = """
import socket, sys, time
sender = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
sender.setsockopt(socket.IPPROTO_UDP, 103, 1000)  # UDP_SEGMENT
sender.connect((sys.argv[1], 5002))
for train in range(50):
    sender.send(b"".join(bytes([train, number]) * 500 for number in range(30)))
    time.sleep(0.002)  # or a busy machine has to drop some
"""
RECEIVE = """
import socket, sys
receiver = socket.socket(
    socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
receiver.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
receiver.bind((sys.argv[1], 5002))
receiver.settimeout(30)
print("ready", flush=True)
for train in range(50):
    for number in range(30):
        assert receiver.recv(2000) == bytes([train, number]) * 500, (train, number)
print("all of them")
"""


@pytest.mark.parametrize("address", ["10.98.0.2", "fd98::2"])
def test_datagrams_of_a_train_reach_the_interface_in_few_writes(
    hosts: tuple[Host, Host], address: str
) -> None:
    """UDP cut by the sender's kernel is sent, received and written in trains, and arrives whole."""
    for number, host in enumerate(hosts, 1):
        host.run("ip", "address", "add", f"fd98::{number}/64", "dev", "wg0", "nodad")
        peer = host.run(WG["holloway"], "show", "wg0", "peers").stdout.strip()
        host.run(WG["holloway"], "set", "wg0", "peer", peer, "allowed-ips",
                 f"10.98.0.{3 - number}/32,fd98::{3 - number}/128")  # fmt: skip
    receiver = hosts[1].popen(sys.executable, "-c", RECEIVE, address)
    assert receiver.stdout is not None
    assert receiver.stdout.readline() == "ready\n"
    hosts[0].run("ping", "-c", "1", "-W", "20", address)
    before = written(hosts[1])
    hosts[0].run(sys.executable, "-c", SEND_TRAINS, address)
    output, errors = receiver.communicate(timeout=60)
    assert output == "all of them\n", errors
    assert written(hosts[1]) - before < 50 * 30 / 10


def written(host: Host) -> int:
    """Packets that the device has written to its interface; a superpacket is one."""
    shown = host.run("ip", "-s", "-j", "link", "show", "wg0").stdout
    packets: int = json.loads(shown)[0]["stats64"]["rx"]["packets"]
    return packets

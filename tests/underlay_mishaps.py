"""What happens to a device's underlay and to its peer, for tests and for a benchmark of recovery.

A `Pair` is two hosts on a cable with a tunnel between them. Each reaches the other only by its
default route. A `Mishap` strikes the pair and is mended; pings run all the time.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holloway.lab import Host, join
from hosts import DEVICES, PEERS, WG, eventually, key_pair, start_device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import ExitStack

PORT = 51820
RELAY_PORT = 40000
OUTSIDE = {4: "10.99.0.{}", 6: "fd99::{}"}
PINGS_A_SECOND = 100
LIMIT_SECONDS = 120
ANSWER = re.compile(r"\[([\d.]+)\] \d+ bytes from .* time=([\d.]+) ms")
GONE_SECONDS = 20.0
"""Longer than the 15 seconds without an answer after which a new handshake begins."""


class Pair:
    """Hosts 1 and 2 with a device each. Host N is 10.98.0.N in the tunnel."""

    def __init__(self, device: str, stack: ExitStack, *, version: int = 4) -> None:
        self.version = version
        self._stack = stack
        self.hosts = [stack.enter_context(Host(name)) for name in ("left", "right")]
        self.keys = [key_pair(host) for host in self.hosts]
        join(*self.hosts)
        self._device = device
        self.peer_endpoint = self.endpoint(2)
        for number, host in enumerate(self.hosts, 1):
            self.connect(number)
            host.write("/run/key", self.keys[number - 1].private)
            self.start(number)
        self.begin_session()

    def start(self, number: int) -> None:
        """Start a host's device and give it key, port and address; the right one gets its peer."""
        host = self.hosts[number - 1]
        start_device(host, self._device, "wg0", environment={"HOLLOWAY_PERSISTENT": "1"})
        self.wg(number, "set", "wg0", "private-key", "/run/key", "listen-port", str(PORT))
        if number == 2:
            self.wg(2, "set", "wg0", "peer", self.keys[0].public, "allowed-ips", "10.98.0.1/32")
        # A device that was killed may have left its interface.
        host.run("ip", "address", "replace", f"10.98.0.{number}/24", "dev", "wg0")
        host.run("ip", "link", "set", "wg0", "mtu", "1280", "up")

    def end(self, number: int, signal: str) -> None:
        """End a host's device, and what belongs to it, with a signal, as systemd does."""
        host, program = self.hosts[number - 1], DEVICES[self._device][0].rsplit("/", 1)[1]
        pattern = f"[{program[0]}]{program[1:]}"
        host.run("pkill", f"-{signal}", "-f", pattern)
        assert eventually(lambda: host.run("pgrep", "-f", pattern, check=False).returncode)
        host.run("rm", "-f", "/run/wireguard/wg0.sock")

    def connect(self, number: int, last: int | None = None) -> None:
        """Give a host its address on the cable, perhaps with another end, and its default route."""
        address, family = OUTSIDE[self.version].format(last or number), f"-{self.version}"
        flags = ["nodad"] if self.version == 6 else []
        length = 128 if self.version == 6 else 32
        host = self.hosts[number - 1]
        host.run("ip", "address", "add", f"{address}/{length}", "dev", "eth0", *flags)
        host.run("ip", family, "route", "replace", "default", "dev", "eth0")

    def disconnect(self, number: int) -> None:
        """Remove every address of a host's end of the cable, also the link-local ones."""
        self.hosts[number - 1].run("ip", "address", "flush", "dev", "eth0")

    def route(self, change: str) -> None:
        """Add or delete the left host's default route."""
        self.hosts[0].run("ip", f"-{self.version}", "route", change, "default", "dev", "eth0")

    def endpoint(self, number: int, port: int = PORT) -> str:
        address = OUTSIDE[self.version].format(number)
        return f"[{address}]:{port}" if self.version == 6 else f"{address}:{port}"

    def wg(self, number: int, *arguments: str) -> str:
        return self.hosts[number - 1].run(WG["original"], *arguments).stdout

    def endpoint_of_left(self) -> str:
        """Return the endpoint to which the right host sends."""
        return self.wg(2, "show", "wg0", "endpoints").split()[1]

    def latest_handshake(self) -> int:
        """Return the time of the left host's last handshake, 0 for none."""
        return int(self.wg(1, "show", "wg0", "latest-handshakes").split()[1])

    def forget_session(self) -> None:
        """Remove the left host's peer: not every device forgets its sessions when it goes down."""
        self.wg(1, "set", "wg0", "peer", self.keys[1].public, "remove")
        time.sleep(1)

    def begin_session(self) -> None:
        """Give the left host its peer."""
        self.wg(1, "set", "wg0", "peer", self.keys[1].public, "allowed-ips", "10.98.0.2/32",
                "endpoint", self.peer_endpoint)  # fmt: skip

    def relay(self) -> None:
        """Start a link that delays each datagram by up to half a second, for the next session."""
        host = self.hosts[1]
        self.peer_endpoint = self.endpoint(2, RELAY_PORT)
        link = host.popen("sh", "-c", 'exec "$@" 2>/dev/null', "relay", str(PEERS / "netem"),
                          self.peer_endpoint, self.endpoint(2), "0", "0", "500")  # fmt: skip
        assert link.stdout is not None
        assert link.stdout.readline() == "ready\n"
        self._stack.callback(link.communicate)
        self._stack.callback(host.run, "pkill", "-x", "netem")

    @contextlib.contextmanager
    def pings(self, sender: int = 1) -> Iterator[Pings]:
        """Ping one host from the other all the time; the left one has to begin."""
        self.hosts[0].run("ping", "-n", "-c", "1", "-W", "5", "10.98.0.2", check=False)
        pings = Pings(self.hosts[sender - 1], f"10.98.0.{3 - sender}")
        try:
            yield pings
        finally:
            pings.end()


class Pings:
    """A ping that goes on, and the times of its answers."""

    def __init__(self, host: Host, address: str) -> None:
        self._host = host
        self._answers: list[tuple[float, float]] = []  # when it was sent, when it was answered
        self._ping = host.popen("sh", "-c", 'exec ping -n -D -i "$1" "$2" 2>/dev/null', "ping",
                                str(1 / PINGS_A_SECOND), address)  # fmt: skip
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def seconds_to_answer(self, since: float) -> float | None:
        """Return the seconds from a time until a ping sent after it is answered, or None."""
        if not eventually(lambda: self.count(since), LIMIT_SECONDS):
            return None
        return min(answer for sent, answer in tuple(self._answers) if sent >= since) - since

    def count(self, since: float) -> int:
        """Return the number of pings that were sent since a time and answered."""
        return sum(sent >= since for sent, _ in tuple(self._answers))

    def end(self) -> None:
        self._host.run("pkill", "-x", "ping", check=False)
        self._reader.join()
        self._ping.communicate()

    def _read(self) -> None:
        assert self._ping.stdout is not None
        for line in self._ping.stdout:
            if found := ANSWER.match(line):
                answered, milliseconds = map(float, found.groups())
                self._answers.append((answered - milliseconds / 1000, answered))


@dataclass(frozen=True)
class Mishap:
    """What strikes, and what mends. The time of recovery begins with the mending."""

    strike: Callable[[Pair], None]
    mend: Callable[[Pair], None]
    version: int = 4
    interrupts: bool = False
    """Whether no ping is answered between the two."""
    keeps_session: bool = False
    """Whether the tunnel recovers without a handshake."""
    has_struck: Callable[[Pair], bool] = lambda _: True
    """Whether its trace is there in the end."""
    sender: int = 1
    """The host that sends."""

    def recovery(self, pair: Pair, pings: Pings) -> float | None:
        """Strike and mend; return the seconds until the first answer after the mending began."""
        self.strike(pair)
        began = time.time()
        self.mend(pair)
        return pings.seconds_to_answer(began)


def nothing(_: Pair) -> None: ...


def remove_addresses(pair: Pair) -> None:
    pair.disconnect(1)
    time.sleep(GONE_SECONDS)


def flap_default_route(pair: Pair) -> None:
    """Away and back ten times within three seconds, and at the end away."""
    for _ in range(10):
        pair.route("delete")
        time.sleep(0.2)
        pair.route("add")
        time.sleep(0.1)
    pair.route("delete")
    time.sleep(1)


def roam(pair: Pair) -> None:
    pair.wg(1, "set", "wg0", "listen-port", str(PORT + 1))


def end_responder(pair: Pair) -> None:
    pair.end(2, "TERM")
    time.sleep(1)


def kill_responder(pair: Pair) -> None:
    time.sleep(1)  # a session that has just begun is not recorded yet
    pair.end(2, "KILL")
    time.sleep(1)


def lose_address(pair: Pair) -> None:
    pair.disconnect(1)
    time.sleep(2)


def come_back_elsewhere(pair: Pair) -> None:
    pair.connect(1, last=7)


LOSE = """
table inet loss {
  counter lost {}
  chain in {
    type filter hook input priority 0;
    iifname eth0 meta l4proto udp numgen random mod 100 < 30 counter name lost drop;
  }
}
"""


def lose_packets(pair: Pair) -> None:
    """Both ways, where they arrive, for a packet lost on its way out is an error to its sender."""
    pair.forget_session()
    for host in pair.hosts:
        host.run("nft", "-f", "-", stdin=LOSE)


def jitter(pair: Pair) -> None:
    pair.forget_session()
    pair.relay()


def has_lost(pair: Pair) -> bool:
    shown = [host.run("nft", "list", "counter", "inet", "loss", "lost").stdout
             for host in pair.hosts]  # fmt: skip
    return all("packets 0 " not in one for one in shown)


def goes_through_relay(pair: Pair) -> bool:
    return pair.endpoint_of_left() not in (pair.endpoint(1), "(none)")


def is_elsewhere(pair: Pair) -> bool:
    return pair.endpoint_of_left() == pair.endpoint(7)


MISHAPS = {
    "the responder is restarted": Mishap(
        end_responder, lambda pair: pair.start(2), interrupts=True
    ),
    "the responder is killed (kill -9)": Mishap(
        kill_responder, lambda pair: pair.start(2), interrupts=True
    ),
    "the responder is restarted, IPv6 only": Mishap(
        end_responder, lambda pair: pair.start(2), version=6, interrupts=True
    ),
    "another address while only the peer sends": Mishap(
        lose_address, come_back_elsewhere, interrupts=True, keeps_session=True,
        has_struck=is_elsewhere, sender=2,
    ),
    "another address while only the peer sends, IPv6 only": Mishap(
        lose_address, come_back_elsewhere, version=6, interrupts=True, keeps_session=True,
        has_struck=is_elsewhere, sender=2,
    ),
    "all addresses are removed and returned": Mishap(
        remove_addresses, lambda pair: pair.connect(1), interrupts=True
    ),
    "all addresses are removed and returned, IPv6 only": Mishap(
        remove_addresses, lambda pair: pair.connect(1), version=6, interrupts=True
    ),
    "the default route flaps": Mishap(
        flap_default_route, lambda pair: pair.route("add"), interrupts=True, keeps_session=True
    ),
    "a peer is on a new port": Mishap(
        roam, nothing, keeps_session=True,
        has_struck=lambda pair: pair.endpoint_of_left() == pair.endpoint(1, PORT + 1),
    ),
    "a session begins, IPv6 only": Mishap(
        Pair.forget_session, Pair.begin_session, version=6, interrupts=True
    ),
    "a session begins, 30 % loss": Mishap(
        lose_packets, Pair.begin_session, interrupts=True, has_struck=has_lost
    ),
    "a session begins, 500 ms jitter": Mishap(
        jitter, Pair.begin_session, interrupts=True, has_struck=goes_through_relay
    ),
}  # fmt: skip

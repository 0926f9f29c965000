"""Two ends of a tunnel, keys put in by hand: a TUN in a host of its own, a plane in this process.

Outside they meet on loopback addresses of the machine; inside they are 10.77.0.1 and 10.77.0.2,
fd77::1 and fd77::2.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import time
from typing import TYPE_CHECKING, Self

from holloway._native import Confirmed, Endpoint, Plane, SessionKeys, Tun
from holloway.core.constants import NEVER, SECOND
from holloway.key import Key
from holloway.lab import Host
from holloway.model import AllowedIP, DeviceUpdate, PeerUpdate
from holloway.text.convert import update_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holloway._native import AllowedIPsChange, Event, Peer

KEYS = (bytes([1]) * 32, bytes([2]) * 32)
"""What the first sends with, and what the second does."""

PUBLIC_KEYS = (bytes([9]) * 32, bytes([8]) * 32)


def boottime() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class End:
    """One end: `number` is 1 or 2, and its local index is ten times that."""

    def __init__(self, number: int, tun: Tun | None = None) -> None:
        self.number = number
        self.host = Host(f"end{number}")
        self.host.start()
        self.tun = tun or Tun(f"hnt{number}-{os.getpid() % 100000}", 1420)
        self.plane = Plane(self.tun)
        self.port = self.plane.bind(0, 0)
        self.plane.set_identity(PUBLIC_KEYS[number - 1])
        self.peer: Peer = self.plane.peer(PUBLIC_KEYS[2 - number])
        for network in (f"10.77.0.{3 - number}/32", f"fd77::{3 - number}/128"):
            allow(self.peer, network)
        self.up()

    def up(self) -> None:
        name = self.tun.name
        ip("link", "set", name, "netns", str(self.host.pid))
        for command in (
            f"addr add 10.77.0.{self.number}/24 dev {name}",
            f"addr add fd77::{self.number}/64 dev {name} nodad",
            f"link set {name} up",
        ):
            self.host.run("ip", *command.split())

    def close(self) -> None:
        self.plane.close()
        self.tun.close()
        self.host.stop()

    def endpoint(self, host: str = "127.0.0.1") -> Endpoint:
        """Where others find this end."""
        return Endpoint(host, self.port)

    def install(
        self,
        *,
        confirmed: bool = True,
        indices: tuple[int, int] | None = None,
        renew_on_send: int = NEVER,
        renew_on_receive: int = NEVER,
        reject: int | None = None,
    ) -> None:
        local, remote = indices or (10 * self.number, 10 * (3 - self.number))
        self.peer.install(
            SessionKeys(local, remote, KEYS[self.number - 1], KEYS[2 - self.number]),
            confirmed=confirmed, renew_on_send=renew_on_send, renew_on_receive=renew_on_receive,
            reject=boottime() + 180 * SECOND if reject is None else reject,
        )  # fmt: skip

    def ping(self, address: str, *options: str, count: int = 1) -> int:
        """Return the number of answers."""
        result = self.host.run(
            "ping", "-n", "-c", str(count), "-i", "0.01", "-W", "1", *options, address, check=False
        )
        return result.stdout.count(" bytes from ")

    def events(self, seconds: float = 30.0) -> list[Event]:
        """Wait until there are events, and return them."""
        select.select([self.plane.fileno()], [], [], seconds)
        return self.plane.events()

    def expect(self, kind: type[Event], seconds: float = 30.0) -> list[Event]:
        """Wait for an event of `kind`; return it and all before it."""
        seen: list[Event] = []
        end = time.monotonic() + seconds
        while not any(isinstance(event, kind) for event in seen):
            assert time.monotonic() < end, seen
            seen += self.events(end - time.monotonic())
        return seen


class Pair:
    """Two ends that know where the other is; without sessions until `establish`."""

    def __init__(self) -> None:
        self.first = End(1)
        self.second = End(2)
        self.meet("127.0.0.1")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.first.close()
        self.second.close()

    def meet(self, host: str) -> None:
        self.first.peer.set_endpoint(self.second.endpoint(host))
        self.second.peer.set_endpoint(self.first.endpoint(host))

    def establish(self) -> None:
        """The second is the initiator, whose first packet confirms the session to the first."""
        self.first.install(confirmed=False)
        self.second.install()
        self.first.expect(Confirmed)


def allow(peer: Peer, network: str) -> None:
    peer.change_allowed_ips(allowed_ips(network))


def allowed_ips(
    *networks: str, replace: bool = False, removed: tuple[str, ...] = ()
) -> AllowedIPsChange:
    """A change of a peer's allowed IPs, made as every change is."""
    peer = PeerUpdate(
        Key(bytes(32)),
        replace_allowed_ips=replace,
        removed_allowed_ips=tuple(map(AllowedIP.parse, removed)),
        allowed_ips=tuple(map(AllowedIP.parse, networks)),
    )
    (change,) = update_of(DeviceUpdate(peers=(peer,))).peer_changes()
    assert change.allowed_ips is not None
    return change.allowed_ips


def ip(*command: str) -> None:
    subprocess.run(["ip", *command], check=True, capture_output=True)


def until(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Return whether it becomes true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


@contextlib.contextmanager
def loopback_address(address: str) -> Iterator[str]:
    """Add an address to the machine's loopback interface during the block."""
    ip("addr", "add", f"{address}/32", "dev", "lo")
    try:
        yield address
    finally:
        subprocess.run(["ip", "addr", "del", f"{address}/32", "dev", "lo"], check=False,
                       capture_output=True)  # fmt: skip

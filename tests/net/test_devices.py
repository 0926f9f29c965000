"""A program without rights is the peer of devices, ours and wireguard-go, in another host."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from holloway.lab import Host, join
from hosts import WG, key_pair, start_device
from net.nobody import as_nobody, open_the_way
from net.programs import FAR, NEAR

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

pytestmark = pytest.mark.root

SCRIPT = str(Path(__file__).with_name("programs.py"))
CONFIG = """[Interface]
PrivateKey = {private}
ListenPort = 51821
Address = 10.10.10.2/24, fd10::2/64

[Peer]
PublicKey = {public}
Endpoint = 10.99.0.2:51820
AllowedIPs = 10.10.10.0/24, fd10::/64
"""


@dataclass(frozen=True)
class Road:
    """`near` has only a program; `far` has a device, an echo server, and no endpoint of `near`."""

    near: Host
    far: Host
    near_key: str

    @contextlib.contextmanager
    def running(self, name: str, *arguments: str) -> Iterator[IO[str]]:
        """Run a program in the near host, without rights; what it prints. It must end well."""
        self.wg("listen-port", "51820")
        command = as_nobody(sys.executable, SCRIPT, name, *arguments)
        program = self.near.popen("sh", "-c", 'echo $$ >/run/pid && exec "$@"', "sh", *command)
        assert program.stdout is not None
        try:
            yield program.stdout
            self.near.run("touch", "/run/stop")
            _, errors = program.communicate(timeout=30)
            assert program.returncode == 0, errors
        finally:
            self.near.run("rm", "-f", "/run/stop")
            self.near.run("sh", "-c", "kill -9 $(cat /run/pid)", check=False)
            program.communicate()

    def address(self) -> str:
        """Where the near host is now."""
        shown = self.near.run("ip", "-4", "-br", "address", "show", "eth0").stdout
        return shown.split()[2].partition("/")[0]

    def wg(self, *arguments: str) -> None:
        self.far.run(WG["holloway"], "set", "wg0", *arguments)

    def allow(self, *settings: str) -> None:
        """Make the program a peer; the keepalive has it hear soon of what has changed here."""
        self.wg("peer", self.near_key, "allowed-ips", f"{NEAR[0]}/32,{NEAR[1]}/128",
                "persistent-keepalive", "1", *settings)  # fmt: skip


@pytest.fixture(scope="module", params=["holloway", "wireguard-go"])
def road(request: pytest.FixtureRequest) -> Iterator[Road]:
    with Host("near") as near, Host("far") as far:
        open_the_way(near)
        join(near, far)
        keys = []
        for number, host in enumerate((near, far), 1):
            host.run("ip", "address", "add", f"10.99.0.{number}/24", "dev", "eth0")
            keys.append(key_pair(host, WG["holloway"]))
        ours, theirs = keys
        config = CONFIG.format(private=ours.private, public=theirs.public)
        near.write("/run/peer.conf", config, 0o644)
        start_device(far, request.param, "wg0")
        far.write("/run/key", theirs.private)
        road = Road(near, far, ours.public)
        road.wg("private-key", "/run/key", "listen-port", "51820")
        road.allow()
        for address in (f"{FAR[0]}/24", f"{FAR[1]}/64"):
            far.run("ip", "address", "add", address, "dev", "wg0")
        far.run("ip", "link", "set", "wg0", "up")
        echo = far.popen(sys.executable, SCRIPT, "echo")
        assert echo.stdout is not None
        assert echo.stdout.readline() == "ready\n"
        yield road
    echo.communicate()  # it has ended with its host


def test_a_program_reaches_what_is_behind_a_device(road: Road, stack: str) -> None:
    with road.running("exchange", stack) as output:
        found = json.loads(output.readline())
    assert found.pop("uid") == 65534
    assert found.pop("stack") == stack
    assert found == {f"{what} {at}": True for at in FAR for what in ("tcp", "udp", "ping")}


def test_a_device_reaches_a_server_in_a_program(road: Road, stack: str) -> None:
    with road.running("serve", stack) as output:
        assert output.readline() == "ready\n"
        for address in NEAR:
            found = json.loads(road.far.run(sys.executable, SCRIPT, "connect", address).stdout)
            assert found == {"whole": True}


def roam_far(road: Road) -> None:
    road.wg("listen-port", "51999")


def roam_near(road: Road) -> None:
    """Another address, as after a change of the network."""
    other = "10.99.0.3" if road.address() == "10.99.0.1" else "10.99.0.1"
    road.near.run("ip", "address", "flush", "dev", "eth0")
    road.near.run("ip", "address", "add", f"{other}/24", "dev", "eth0")


def pull_cable(road: Road) -> None:
    road.far.run("ip", "link", "set", "eth0", "down")
    time.sleep(2)
    road.far.run("ip", "link", "set", "eth0", "up")


def forget_session(road: Road) -> None:
    """The device makes a new one, for the stream has something to send."""
    road.wg("peer", road.near_key, "remove")
    road.allow("endpoint", f"{road.address()}:51821")


EVENTS = {each.__name__: each for each in (roam_far, roam_near, pull_cable, forget_session)}


@pytest.mark.parametrize(
    ("address", "event"), [*((FAR[0], event) for event in EVENTS), (FAR[1], "roam_far")]
)
def test_a_stream_survives(road: Road, stack: str, address: str, event: str) -> None:
    with road.running("stream", stack, address) as output:
        assert float(output.readline())
        EVENTS[event](road)
        happened = time.monotonic()
        while float(output.readline()) < happened + 0.3:
            pass

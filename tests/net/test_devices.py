"""An unprivileged program as the peer of devices, ours and wireguard-go, in another host."""

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
from net.programs import LOCAL, REMOTE
from net.unprivileged import grant_access, unprivileged

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
class Link:
    """`near` has only a program; `far` has a device, an echo server, and no endpoint of `near`."""

    local: Host
    remote: Host
    local_key: str

    @contextlib.contextmanager
    def running(self, name: str, *arguments: str) -> Iterator[IO[str]]:
        """Run an unprivileged program in the near host and return its output; it must succeed."""
        self.wg("listen-port", "51820")
        command = unprivileged(sys.executable, SCRIPT, name, *arguments)
        program = self.local.popen("sh", "-c", 'echo $$ >/run/pid && exec "$@"', "sh", *command)
        assert program.stdout is not None
        try:
            yield program.stdout
            self.local.run("touch", "/run/stop")
            _, errors = program.communicate(timeout=30)
            assert program.returncode == 0, errors
        finally:
            self.local.run("rm", "-f", "/run/stop")
            self.local.run("sh", "-c", "kill -9 $(cat /run/pid)", check=False)
            program.communicate()

    def address(self) -> str:
        """Return the current endpoint of the near host."""
        shown = self.local.run("ip", "-4", "-br", "address", "show", "eth0").stdout
        return shown.split()[2].partition("/")[0]

    def wg(self, *arguments: str) -> None:
        self.remote.run(WG["holloway"], "set", "wg0", *arguments)

    def allow(self, *settings: str) -> None:
        """Make the program a peer, with a keepalive so that it soon notices changes at this end."""
        self.wg("peer", self.local_key, "allowed-ips", f"{LOCAL[0]}/32,{LOCAL[1]}/128",
                "persistent-keepalive", "1", *settings)  # fmt: skip


@pytest.fixture(scope="module", params=["holloway", "wireguard-go"])
def link(request: pytest.FixtureRequest) -> Iterator[Link]:
    with Host("near") as local, Host("far") as remote:
        grant_access(local)
        join(local, remote)
        keys = []
        for number, host in enumerate((local, remote), 1):
            host.run("ip", "address", "add", f"10.99.0.{number}/24", "dev", "eth0")
            keys.append(key_pair(host, WG["holloway"]))
        ours, theirs = keys
        config = CONFIG.format(private=ours.private, public=theirs.public)
        local.write("/run/peer.conf", config, 0o644)
        start_device(remote, request.param, "wg0")
        remote.write("/run/key", theirs.private)
        link = Link(local, remote, ours.public)
        link.wg("private-key", "/run/key", "listen-port", "51820")
        link.allow()
        for address in (f"{REMOTE[0]}/24", f"{REMOTE[1]}/64"):
            remote.run("ip", "address", "add", address, "dev", "wg0")
        remote.run("ip", "link", "set", "wg0", "up")
        echo = remote.popen(sys.executable, SCRIPT, "echo")
        assert echo.stdout is not None
        assert echo.stdout.readline() == "ready\n"
        yield link
    echo.communicate()  # it has ended with its host


def test_a_program_reaches_what_is_behind_a_device(link: Link, stack: str) -> None:
    with link.running("exchange", stack) as output:
        found = json.loads(output.readline())
    assert found.pop("uid") == 65534
    assert found.pop("stack") == stack
    assert found == {f"{what} {at}": True for at in REMOTE for what in ("tcp", "udp", "ping")}


def test_a_device_reaches_a_server_in_a_program(link: Link, stack: str) -> None:
    with link.running("serve", stack) as output:
        assert output.readline() == "ready\n"
        for address in LOCAL:
            found = json.loads(link.remote.run(sys.executable, SCRIPT, "connect", address).stdout)
            assert found == {"whole": True}


def roam_remote(link: Link) -> None:
    link.wg("listen-port", "51999")


def roam_local(link: Link) -> None:
    """Change the address, as after a change of the underlay."""
    other = "10.99.0.3" if link.address() == "10.99.0.1" else "10.99.0.1"
    link.local.run("ip", "address", "flush", "dev", "eth0")
    link.local.run("ip", "address", "add", f"{other}/24", "dev", "eth0")


def pull_cable(link: Link) -> None:
    link.remote.run("ip", "link", "set", "eth0", "down")
    time.sleep(2)
    link.remote.run("ip", "link", "set", "eth0", "up")


def forget_session(link: Link) -> None:
    """Remove the session; the device makes a new one, because the stream has data to send."""
    link.wg("peer", link.local_key, "remove")
    link.allow("endpoint", f"{link.address()}:51821")


EVENTS = {each.__name__: each for each in (roam_remote, roam_local, pull_cable, forget_session)}


@pytest.mark.parametrize(
    ("address", "event"), [*((REMOTE[0], event) for event in EVENTS), (REMOTE[1], "roam_remote")]
)
def test_a_stream_survives(link: Link, stack: str, address: str, event: str) -> None:
    with link.running("stream", stack, address) as output:
        assert float(output.readline())
        EVENTS[event](link)
        happened = time.monotonic()
        while float(output.readline()) < happened + 0.3:
            pass

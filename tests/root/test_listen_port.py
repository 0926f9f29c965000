"""A listening port that is taken: no tool and no device is silent about it."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from holloway.lab import Host
from hosts import WG, eventually, start_device
from quick_host import QuickHost, peer

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

PORT = "51000"
TAKE = """\
import os, socket, sys, time
taken = socket.socket(socket.AF_INET6 if sys.argv[1] == "6" else socket.AF_INET, socket.SOCK_DGRAM)
taken.bind(("", int(sys.argv[2])))
print(os.getpid(), flush=True)
time.sleep(1000)
"""
ADDRESS = "Address = 10.10.11.10/24"


@contextmanager
def taken(host: Host, family: str = "4") -> Iterator[str]:
    """Have a process listen on the port; yields how it is named."""
    with host.popen(sys.executable, "-c", TAKE, family, PORT) as process:
        assert process.stdout is not None
        number = process.stdout.readline().strip()
        program = host.run("cat", f"/proc/{number}/comm").stdout.strip()
        try:
            yield f"{program}, process {number}"
        finally:
            host.run("kill", number)


@pytest.fixture
def host() -> Iterator[Host]:
    with Host("port") as made:
        yield made


@pytest.mark.parametrize("device", ["holloway", "wireguard-go"])
@pytest.mark.parametrize("family", ["4", "6"])
def test_up_names_the_port_and_the_process_and_undoes_itself(
    host: Host, device: str, family: str
) -> None:
    quick = QuickHost(host, device=device)
    quick.configure(ADDRESS, peer())
    before = quick.state()
    with taken(host, family) as holder:
        done = quick.wg_quick("up", "wg0")
        assert quick.state() == before
    assert done.returncode == 1
    assert f"UDP port {PORT}: Address already in use by {holder}\n" in done.stderr
    assert done.stderr.splitlines()[-1] == "[#] ip link delete dev wg0"


@pytest.mark.parametrize("device", ["holloway", "wireguard-go"])
def test_up_names_the_interface_that_has_the_port(host: Host, device: str) -> None:
    start_device(host, device, "wg9")
    host.run(WG["original"], "set", "wg9", "listen-port", PORT)
    host.run("ip", "link", "set", "wg9", "up")
    bound = f"ss -Hlun sport = :{PORT} | grep -q ."
    assert eventually(lambda: host.run("sh", "-c", bound, check=False).returncode == 0)
    quick = QuickHost(host)
    quick.configure(ADDRESS, peer())
    done = quick.wg_quick("up", "wg0")
    assert done.returncode == 1
    assert f"UDP port {PORT}: Address already in use by wg9 (" in done.stderr


def test_the_original_wg_quick_fails_and_undoes_itself(host: Host) -> None:
    quick = QuickHost(host, quick="original")
    quick.configure(ADDRESS, peer())
    before = quick.state()
    with taken(host):
        done = quick.wg_quick("up", "wg0")
        assert eventually(lambda: quick.state() == before)
    assert done.returncode == 1
    assert "Unable to modify interface: Address already in use" in done.stderr


@pytest.mark.parametrize("wg", ["holloway", "original"])
def test_a_port_is_refused_before_the_interface_is_up(host: Host, wg: str) -> None:
    start_device(host, "holloway", "wg0", environment={"LOG_LEVEL": "error"})
    with taken(host) as holder:
        done = host.run(WG[wg], "set", "wg0", "listen-port", PORT, "fwmark", "7", check=False)
    assert (done.returncode, done.stderr) == (
        1, "Unable to modify interface: Address already in use\n",
    )  # fmt: skip
    log = host.run("cat", "/run/wg0.log").stdout
    assert f"Unable to listen on UDP port {PORT}: Address already in use by {holder}\n" in log
    shown = host.run(WG["original"], "showconf", "wg0").stdout
    assert "ListenPort" not in shown
    assert "FwMark" not in shown
    host.run(WG[wg], "set", "wg0", "listen-port", PORT)


@contextmanager
def lost(host: Host) -> Iterator[str]:
    """A device comes up again while its port is taken."""
    start_device(host, "holloway", "wg0", environment={"LOG_LEVEL": "error"})
    host.run(WG["original"], "set", "wg0", "listen-port", PORT)
    host.run("ip", "link", "set", "wg0", "up")
    host.run("ip", "link", "set", "wg0", "down")
    free = f"! ss -Hlun sport = :{PORT} | grep -q ."
    assert eventually(lambda: host.run("sh", "-c", free, check=False).returncode == 0)
    with taken(host) as holder:
        host.run("ip", "link", "set", "wg0", "up")
        assert eventually(lambda: listen_port(host) == "0")
        yield holder


def listen_port(host: Host) -> str:
    return host.run(WG["original"], "show", "wg0", "listen-port").stdout.strip()


def test_a_port_that_is_lost_is_shown_and_logged_until_it_is_free_again(host: Host) -> None:
    with lost(host) as holder:
        assert "listening port" not in host.run(WG["original"], "show", "wg0").stdout
        shown = host.run(WG["holloway"], "show", "wg0").stdout
        assert f"  listening port: {PORT} (not bound: Address already in use)\n" in shown
        assert host.run(WG["holloway"], "show", "wg0", "listen-port").stdout == "0\n"
        json = host.run(WG["holloway"], "show", "wg0", "--json").stdout
        assert '"listenError": "Address already in use"' in json
        assert f"ListenPort = {PORT}\n" in host.run(WG["holloway"], "showconf", "wg0").stdout
        log = host.run("cat", "/run/wg0.log").stdout
        assert f"Unable to listen on UDP port {PORT}: Address already in use by {holder}" in log
    assert eventually(lambda: listen_port(host) == PORT)
    assert "not bound" not in host.run(WG["holloway"], "show", "wg0").stdout


def test_another_port_is_bound_at_once_in_place_of_one_that_is_lost(host: Host) -> None:
    with lost(host):
        host.run(WG["original"], "set", "wg0", "listen-port", "51001")
        assert host.run("ss", "-Hlun", "sport", "=", ":51001").stdout != ""
        assert listen_port(host) == "51001"


def test_a_lost_port_is_no_longer_shown_as_lost_when_the_interface_is_down(host: Host) -> None:
    with lost(host):
        host.run("ip", "link", "set", "wg0", "down")
        assert eventually(lambda: listen_port(host) == PORT)

"""`holloway lab` builds what it draws, lets others in, and leaves nothing, however it ends."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pytest

from holloway.lab import Host
from holloway.lab.topologies import TOPOLOGIES
from hosts import BIN, eventually

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

pytestmark = pytest.mark.root

LAB = (str(BIN / "holloway"), "lab")
UP = "takes it down."
# From where and to where a packet goes through the tunnel.
THROUGH = {
    "peer-to-site": ("laptop", "10.10.10.230"),
    "internal-system": ("nas", "10.10.10.11"),
    "site-to-site": ("nas", "10.10.11.50"),
    "default-gateway": ("laptop", "1.1.1.1"),
    "hub": ("ontheroad", "10.10.11.2"),
}

NAMESPACE_DELETED = """
import subprocess
from holloway.lab import Host
subprocess.run(["ip", "netns", "add", "apart"], check=True)
with Host("inner") as host:
    look = lambda: host.run("cat", "/proc/1/mounts").stdout
    before = look()
    subprocess.run(["ip", "netns", "delete", "apart"], check=True)
    subprocess.run(["ip", "netns", "add", "another"], check=True)
    print(look() == before, "netns" not in before)
"""


@pytest.fixture
def machine() -> Iterator[Host]:
    """A machine of its own, so that labs of others do not get in the way."""
    with Host("machine") as host:
        yield host


def test_a_host_does_not_see_the_machine_delete_a_namespace(machine: Host):
    assert machine.run(sys.executable, "-c", NAMESPACE_DELETED).stdout == "True True\n"


def start(machine: Host, *arguments: str) -> subprocess.Popen[str]:
    """Start a lab and read it until it is up."""
    started = machine.popen(*LAB, *arguments)
    assert started.stdout is not None
    for line in started.stdout:
        if UP in line:
            return started
    raise AssertionError(started.communicate()[1])


def lab(machine: Host, *arguments: str) -> tuple[int, str]:
    done = machine.run(*LAB, *arguments, check=False)
    return done.returncode, done.stdout + done.stderr


def left(machine: Host) -> tuple[list[str], list[str], str]:
    """What is there: processes, links and files of a lab."""
    processes = machine.run("ps", "-eo", "args=").stdout.splitlines()
    links = machine.run("ip", "-br", "link").stdout.splitlines()
    files = machine.run("sh", "-c", "ls /run; ls /etc/wireguard").stdout
    return [line for line in processes if not line.startswith("ps ")], links, files


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_a_lab_carries_packets_through_its_tunnel_and_leaves_nothing(machine: Host, name: str):
    before = left(machine)
    started = start(machine, name)
    host, there = THROUGH[name]
    status, shown = lab(machine, "shell", host, "ping", "-c", "1", there)
    assert (status, "1 received" in shown) == (0, True), shown
    status, listed = lab(machine)
    assert (status, f"{name}  (running)" in listed) == (0, True)
    assert lab(machine, "down") == (0, f"{name} is down.\n")
    output, errors = started.communicate(timeout=10)
    assert (started.returncode, errors) == (0, "")
    assert "nothing is left of it" in output
    assert left(machine) == before


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_without_steps_a_lab_has_its_files_and_no_tunnel(machine: Host, name: str):
    started = start(machine, name, "--no-steps")
    for tunnel in TOPOLOGIES[name].tunnels:
        links = lab(machine, "shell", tunnel.host, "ip", "-br", "link")[1]
        assert f"{tunnel.interface} " not in links
        _, config = lab(machine, "shell", tunnel.host, "cat", f"{tunnel.interface}.conf")
        assert "[Peer]" in config
        assert "key of" not in config
    assert lab(machine, "down")[0] == 0
    started.communicate(timeout=10)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_no_signal_leaves_anything_behind(machine: Host, number: signal.Signals):
    before = left(machine)
    with start(machine, "site-to-site", "--no-steps") as started:
        machine.run("pkill", f"-{number}", "-f", "holloway lab site-to-site")
        started.communicate(timeout=10)
    stale = "holloway-lab\n" if number == signal.SIGKILL else ""
    processes, links, files = before
    assert eventually(lambda: left(machine)[:2] == (processes, links))
    assert sorted(left(machine)[2].split()) == sorted((files + stale).split())
    assert lab(machine, "down") == (1, "No such lab runs.\n")


def test_an_interruption_while_it_is_built_leaves_nothing(machine: Host):
    before = left(machine)
    started = machine.popen(*LAB, "hub")
    assert eventually(lambda: any("sleep infinity" in line for line in left(machine)[0][1:]))
    machine.run("pkill", "-INT", "-f", "holloway lab hub")
    started.communicate(timeout=10)
    assert eventually(lambda: left(machine) == before)


def test_hosts_of_the_same_name_are_told_apart_by_their_lab(machine: Host):
    one = start(machine, "peer-to-site", "--no-steps")
    two = start(machine, "site-to-site", "--no-steps")
    status, said = lab(machine, "shell", "laptop", "true")
    assert status == 1
    assert "peer-to-site/laptop or site-to-site/laptop" in said
    for topology, address in (("peer-to-site", "203.0.113.2"), ("site-to-site", "10.10.11.50")):
        assert address in lab(machine, "shell", f"{topology}/laptop", "ip", "address")[1]
    assert lab(machine, "shell", "alpha", "hostname") == (0, "alpha\n")
    assert lab(machine, "down", "peer-to-site") == (0, "peer-to-site is down.\n")
    assert lab(machine, "shell", "laptop", "true") == (0, "")
    assert lab(machine, "down") == (0, "site-to-site is down.\n")
    for started in (one, two):
        started.communicate(timeout=10)


def test_a_command_in_a_host_is_a_line_of_shell_as_with_ssh(machine: Host):
    with start(machine, "site-to-site", "--no-steps") as started:
        for words, says in (
            (["hostname; pwd"], "alpha\n/etc/wireguard\n"),
            (["hostname", "|", "tr", "a-z", "A-Z"], "ALPHA\n"),
            (["echo", "'two  blanks'", "#", "a comment"], "two  blanks\n"),
            (["echo", "'$HOME'", "a b"], "$HOME a b\n"),
        ):
            assert lab(machine, "shell", "alpha", *words) == (0, says)
        assert lab(machine, "shell", "alpha", "exit 7")[0] == 7
        lab(machine, "down")
        started.communicate(timeout=10)


def test_the_same_lab_does_not_run_twice(machine: Host):
    with start(machine, "site-to-site", "--no-steps") as started:
        status, said = lab(machine, "site-to-site", "--no-steps")
        assert (status, "runs already" in said) == (1, True)
        assert lab(machine, "shell", "alpha", "hostname") == (0, "alpha\n")
        lab(machine, "down")
        started.communicate(timeout=10)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "There is no topology 'nowhere': peer-to-site, internal-system"),
        (["hub", "--bogus"], "Usage: holloway lab"),
        (["shell"], "There is no topology 'shell'"),
        (["shell", "alpha"], "No such lab runs; start one of peer-to-site"),
        (["down"], "No such lab runs."),
        (["down", "hub", "hub"], "Usage: holloway lab"),
    ],
)
def test_what_cannot_be_is_said(machine: Host, arguments: list[str], said: str):
    status, shown = lab(machine, *arguments)
    assert status == 1
    assert said in shown

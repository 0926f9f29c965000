"""What the pages of the guide share: hosts to run commands on, pings, packet captures.

The programs in `fakes` replace those of systemd, which does not run in a lab; all else is real.
"""

from __future__ import annotations

import re
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from holloway.lab import Lab
from hosts import BIN, REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holloway.lab import Topology

FAKES = Path(__file__).parent / "fakes"
HOOK = "PostUp = wg set %i private-key /etc/wireguard/%i.key\n"


@contextmanager
def built_lab(topology: Topology) -> Iterator[Lab]:
    """Build a topology, with keys and the files of its page; no tunnel is up."""
    with Lab(topology) as lab:
        lab.make_keys()
        for tunnel in topology.tunnels:
            lab.configure(tunnel.host)
        yield lab


@contextmanager
def up(lab: Lab, *tunnels: str) -> Iterator[None]:
    """Bring tunnels up, each `host:interface`, and down at the end of the block."""
    try:
        for tunnel in tunnels:
            host, _, interface = tunnel.partition(":")
            wg_quick_up(lab, host, interface)
        yield
    finally:
        for tunnel in tunnels:
            host, _, interface = tunnel.partition(":")
            typed(lab, host, f"wg-quick down {interface}", check=False)


def typed(
    lab: Lab, host: str, command: str, *, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a line of bash on a host, as a person types it."""
    done = lab.sh(host, f"PATH={FAKES}:$PATH; {command}", check=False, timeout=300)
    assert not check or done.returncode == 0, f"{host}$ {command}\n{done.stdout}{done.stderr}"
    return done


def wg_quick_up(lab: Lab, host: str, interface: str) -> list[str]:
    """Bring a tunnel up; returns the lines of its steps as the guide shows them."""
    printed = typed(lab, host, f"wg-quick up {interface}").stderr.splitlines()
    # Here there is no kernel module, and one more step that the guide does not have.
    return [line for line in printed if line.startswith("[#]") and "holloway-device" not in line]


def ping_replies(lab: Lab, host: str, address: str, options: str = "", wait: int = 20) -> int:
    """Ping an address with two packets; returns how many were answered.

    `wait` is the seconds to wait for the first answer; one that has to come may take long.
    """
    done = typed(lab, host, f"ping -n -c 2 -i 0.5 -W {wait} {options} {address}", check=False)
    return int(re.findall(r"(\d+) received", done.stdout)[0])


@contextmanager
def no_ping_lost(lab: Lab, host: str, address: str) -> Iterator[None]:
    """Ping an address twenty times a second all through the block; no ping may be lost."""
    command = lab[host].argv("ping", "-n", "-i", "0.05", "-c", "60", address)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as pings:
        assert pings.stdout is not None
        while "icmp_seq=5 " not in (line := pings.stdout.readline()):
            assert line
        yield
        assert "60 received, 0% packet loss" in (said := pings.stdout.read()), said


class Capture:
    """The packets on an interface, one line each as tcpdump prints them, once the block ends."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def matching(self, *words: str) -> list[str]:
        return [line for line in self.lines if all(word in line for word in words)]


@contextmanager
def capturing(lab: Lab, host: str, interface: str, expression: str = "") -> Iterator[Capture]:
    """Capture packets on an interface of a host while the block runs."""
    capture = Capture()
    tcpdump = lab[host].popen(
        "tcpdump", "-n", "-l", "--immediate-mode", "-Z", "root", "-i", interface, expression
    )
    assert tcpdump.stderr is not None
    while "listening on" not in (line := tcpdump.stderr.readline()):
        assert line, f"tcpdump ended: {tcpdump.communicate()}"
    try:
        yield capture
    finally:
        # The program itself, for its parent outside does not pass signals on.
        lab[host].run("pkill", f"-{signal.SIGINT.value}", "tcpdump")
        # Interrupted, it ends with an empty line.
        capture.lines = tcpdump.communicate()[0].strip().splitlines()


@contextmanager
def program(lab: Lab, host: str, *command: str, until: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program in a host during the block, which begins once it has printed `until`."""
    started = lab[host].popen("sh", "-c", 'exec 2>&1; echo $$; exec "$@"', "program", *command)
    assert started.stdout is not None
    number = started.stdout.readline().strip()
    while until not in (line := started.stdout.readline()):
        assert line, f"{command[0]} ended: {started.communicate()}"
    try:
        yield started
    finally:
        # From inside, for the parent outside does not pass signals on.
        lab[host].run("kill", number, check=False)
        started.communicate()


@contextmanager
def log_of(lab: Lab, host: str, interface: str) -> Iterator[subprocess.Popen[str]]:
    """Follow a device's log, which is switched on while the device runs."""
    follow = (f"{BIN}/holloway", "log", interface, "--follow")
    with program(lab, host, *follow, until="is at level error") as followed:
        typed(lab, host, f"holloway log {interface} verbose")
        yield followed


@contextmanager
def server(lab: Lab, host: str, address: str, port: int) -> Iterator[None]:
    """Accept TCP connections at an address."""
    script = (
        "import socket, sys\n"
        "with socket.create_server((sys.argv[1], int(sys.argv[2]))) as listener:\n"
        "    print('ready', flush=True)\n"
        "    while True:\n"
        "        listener.accept()[0].close()\n"
    )
    with program(lab, host, "python3", "-c", script, address, str(port), until="ready"):
        yield


def connection_error(lab: Lab, host: str, address: str, port: int) -> str:
    """Try a TCP connection; returns "" or why there is none."""
    script = f"import socket; socket.create_connection(('{address}', {port}), 3)"
    done = typed(lab, host, f'python3 -c "{script}"', check=False)
    return done.stderr.strip().rpartition("\n")[2]


def shown_peers(lab: Lab, host: str) -> list[list[str]]:
    """Return the labels of the lines that `wg show` prints for each peer, in order."""
    _, *peers = typed(lab, host, "wg show").stdout.strip().split("\n\n")
    return [[line.partition(":")[0].strip() for line in peer.splitlines()] for peer in peers]


def hops(report: str) -> list[str]:
    """The hosts of an `mtr -r` report, in order."""
    return re.findall(r"^ *\d+\.\|-- (\S+)", report, re.MULTILINE)


def install_units(lab: Lab, host: str) -> None:
    """Put the unit files where a package would."""
    units = Path("/etc/systemd/system")
    lab[host].run("mkdir", "-p", str(units))
    for unit in (REPOSITORY / "units").iterdir():
        lab[host].write(units / unit.name, unit.read_text(), mode=0o644)


def network(lab: Lab, host: str) -> str:
    """All of a host's network state, to compare before and after."""
    commands = ("ip -br link", "ip -br address", "ip route show table all", "ip rule",
                "ip -6 route show table all", "ip -6 rule", "nft list ruleset")  # fmt: skip
    return "".join(lab.sh(host, command).stdout for command in commands)

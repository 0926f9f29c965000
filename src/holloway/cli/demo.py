"""`holloway demo`: connects two hosts on this machine by a tunnel, and explains each step.

The hosts are those of `holloway.lab`: they disappear with everything in them when the demo ends.
Every command is run as it is shown, by the tools that a user has.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from typing import NoReturn

from holloway import lab
from holloway.cli import display
from holloway.lab import Host

HELP = """Usage: holloway demo [--without-root]

As root: builds two hosts on this machine, "laptop" and "office", connects them by a WireGuard
tunnel with the configuration of the Ubuntu Server guide, sends traffic, moves the laptop to another
address, and takes everything down.

As another user, or with --without-root: starts two programs that are each other's peers, and
fetches a page through the tunnel. This needs no interface of the system.

Both explain each step and leave nothing behind. Set NO_COLOR for plain text.

Examples:
  sudo holloway demo
  holloway demo --without-root
"""

TOPOLOGY = """
    laptop                                          office
    eth0   203.0.113.2  ------- the internet ------- eth0  203.0.113.1
    home0  10.10.11.2   ======== the tunnel ======== wg0   10.10.11.1
                                                     lan0  10.10.10.1
"""
OFFICE = "203.0.113.1"
LAPTOP = "203.0.113.2"
LAPTOP_ELSEWHERE = "203.0.113.77"
SENTENCE = "Meet me where the holloway leaves the wood. "

OFFICE_CONFIG = """\
[Interface]
PrivateKey = {private}
ListenPort = 51000
Address = 10.10.11.1/24

[Peer]
# laptop
PublicKey = {peer}
AllowedIPs = 10.10.11.2
"""
LAPTOP_CONFIG = """\
[Interface]
PrivateKey = {private}
ListenPort = 51000
Address = 10.10.11.2/24

[Peer]
# office
PublicKey = {peer}
Endpoint = 203.0.113.1:51000
AllowedIPs = 10.10.11.0/24,10.10.10.0/24
"""


def main(options: list[str]) -> int:
    """Run the demo; returns the exit status."""
    if options in (["-h"], ["--help"]):
        print(HELP, end="")
        return 0
    if options not in ([], ["--without-root"]):
        print(HELP.partition("\n")[0], file=sys.stderr)
        return 1
    if options or os.geteuid() != 0:
        from holloway.cli.demo_without_root import main as without_root

        return without_root()
    if missing := lab.missing_tools():
        print(f"The demo needs these programs: {', '.join(missing)}", file=sys.stderr)
        print("On Debian and Ubuntu: apt-get install iproute2 iputils-ping util-linux")
        return 1
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with ExitStack() as stack:
            Demo(stack.enter_context(Host("laptop")), stack.enter_context(Host("office"))).run()
    except KeyboardInterrupt:
        print("\nInterrupted; the hosts and everything in them are gone.")
        return 130
    except subprocess.CalledProcessError as error:
        print(f"\nThis command failed: {' '.join(error.cmd)}\n{error.stderr}", file=sys.stderr)
        return 1
    except (OSError, subprocess.TimeoutExpired, DemoError) as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1
    return 0


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


class DemoError(Exception):
    """The demo did not see what it should have seen."""


class Demo:
    """The steps, in order. Each explains what it does before it does it."""

    def __init__(self, laptop: Host, office: Host) -> None:
        self.laptop = laptop
        self.office = office
        self.step = 0

    def run(self) -> None:
        print(display.bold("Holloway: two hosts, one WireGuard tunnel"))
        print(TOPOLOGY)
        self.set_up_network()
        self.make_keys()
        self.bring_up()
        self.ping()
        self.eavesdrop()
        self.transfer()
        self.roam()
        self.take_down()

    def set_up_network(self) -> None:
        lab.join(self.laptop, self.office)
        for host, address in ((self.laptop, LAPTOP), (self.office, OFFICE)):
            host.run("ip", "address", "add", f"{address}/24", "dev", "eth0")
        # So that the laptop keeps its second address when it loses the first.
        promote = "/proc/sys/net/ipv4/conf/eth0/promote_secondaries"
        self.laptop.run("sh", "-c", f"echo 1 > {promote}")
        self.office.run("ip", "link", "add", "lan0", "type", "bridge")
        self.office.run("ip", "address", "add", "10.10.10.1/24", "dev", "lan0")
        self.office.run("ip", "link", "set", "lan0", "up")

    def make_keys(self) -> None:
        self.title("Keys", "Each host makes its own key pair. The private key never leaves it;"
                           " the public key identifies the host to the others.")  # fmt: skip
        keys = {}
        for host, name in ((self.laptop, "home0"), (self.office, "wg0")):
            shown = f"umask 077; wg genkey > {name}-private.key; wg pubkey < {name}-private.key"
            in_place = f"cd /etc/wireguard; {shown}"
            keys[host.name] = self.show_command(host, shown, "sh", "-c", in_place).strip()
        for host, name, config, peer in (
            (self.laptop, "home0", LAPTOP_CONFIG, keys["office"]),
            (self.office, "wg0", OFFICE_CONFIG, keys["laptop"]),
        ):
            private = host.run("cat", f"/etc/wireguard/{name}-private.key").stdout.strip()
            host.write(f"/etc/wireguard/{name}.conf", config.format(private=private, peer=peer))
            shown = config.format(private="(hidden)", peer=peer)
            display.file(host.name, f"/etc/wireguard/{name}.conf", shown)

    def bring_up(self) -> None:
        self.title("Up", "wg-quick makes the interface and configures it. The office's peer has no"
                         " Endpoint: the office waits for the laptop.")  # fmt: skip
        self.show_command(self.office, "wg-quick up wg0", "wg-quick", "up", "wg0")
        self.show_command(self.laptop, "wg-quick up home0", "wg-quick", "up", "home0")
        print("\n  Nothing has been sent yet: WireGuard sends nothing until there is a packet.\n")
        self.show_command(self.office, "wg show", "wg", "show")

    def ping(self) -> None:
        self.title("First packets", "The first ping finds no session, so it waits for a handshake;"
                                    " the others use it.")  # fmt: skip
        self.show_command(self.laptop, "ping -c 3 10.10.10.1",
                          "ping", "-n", "-c", "3", "-i", "0.3", "10.10.10.1")  # fmt: skip
        print("  Now the office knows the laptop's endpoint, and when the handshake was:\n")
        self.show_command(self.office, "wg show", "wg", "show")

    def eavesdrop(self) -> None:
        self.title("On the wire", f'The laptop sends, a hundred times: "{SENTENCE.strip()}"'
                                  " Two eavesdroppers at the office look for it.")  # fmt: skip
        taps = {name: self.program(self.office, "eavesdrop", name, SENTENCE)
                for name in ("wg0", "eth0")}  # fmt: skip
        receiver = self.program(self.office, "receive", "10.10.11.1")
        self.traffic("send", "10.10.11.1", "0", SENTENCE)
        finish(receiver)
        inside, outside = (json.loads(finish(taps[name])) for name in ("wg0", "eth0"))
        for name, seen in (("wg0, inside the tunnel", inside), ("eth0, on the wire", outside)):
            print(f"  {name}: found in {seen['hits']} of {seen['packets']} packets")
            sample = bytes.fromhex(seen["sample"])
            print(f"    end of the longest packet: {display.printable(sample)}")
        if not inside["hits"] or outside["hits"] or not outside["packets"]:
            raise DemoError("the capture does not show an encrypted transfer")

    def transfer(self) -> None:
        self.title("Speed", "A TCP connection through the tunnel, for three seconds. Both hosts"
                            " share this machine's processors.")  # fmt: skip
        receiver = self.program(self.office, "receive", "10.10.11.1")
        self.traffic("send", "10.10.11.1", "3", SENTENCE)
        result = json.loads(finish(receiver))
        rate = result["bytes"] / result["seconds"]
        print(f"  {result['bytes'] / 1e6:,.0f} MB in {result['seconds']:.1f} s:"
              f" {rate / 1e6:,.0f} MB/s, {rate * 8 / 1e9:.2f} Gbit/s")  # fmt: skip

    def roam(self) -> None:
        self.title("Roaming", f"The laptop moves: its address was {LAPTOP} and becomes"
                              f" {LAPTOP_ELSEWHERE}. The office is not informed.")  # fmt: skip
        self.show_command(
            self.laptop,
            f"ip address add {LAPTOP_ELSEWHERE}/24 dev eth0",
            "ip",
            "address",
            "add",
            f"{LAPTOP_ELSEWHERE}/24",
            "dev",
            "eth0",
        )
        self.show_command(
            self.laptop,
            f"ip address del {LAPTOP}/24 dev eth0",
            "ip",
            "address",
            "del",
            f"{LAPTOP}/24",
            "dev",
            "eth0",
        )
        self.show_command(
            self.laptop, "ping -c 1 10.10.10.1", "ping", "-n", "-c", "1", "10.10.10.1"
        )
        print("  One authenticated packet is enough: the office answers to the new address.\n")
        endpoint = self.show_command(
            self.office, "wg show wg0 endpoints", "wg", "show", "wg0", "endpoints"
        )
        if LAPTOP_ELSEWHERE not in endpoint:
            raise DemoError("the office did not follow the laptop")

    def take_down(self) -> None:
        self.title("Down", "wg-quick down undoes what up did.")
        self.show_command(self.laptop, "wg-quick down home0", "wg-quick", "down", "home0")
        self.show_command(self.office, "wg-quick down wg0", "wg-quick", "down", "wg0")
        for host in (self.laptop, self.office):
            links = re.findall(r"^\d+: (\w+)", host.run("ip", "-o", "link").stdout, re.MULTILINE)
            if {"home0", "wg0"} & set(links):
                raise DemoError(f"{host.name} still has {links}")
        print("\nNothing is left. To make a tunnel of your own, read docs/tutorial/first-tunnel.md")
        print("The same between programs, without root: holloway demo --without-root")

    def title(self, name: str, text: str) -> None:
        self.step += 1
        display.heading(self.step, name, text)

    def show_command(self, host: Host, shown: str, *command: str) -> str:
        """Show a command, run it in a host, show what it prints, and return that."""
        display.prompt(host.name, shown)
        done = host.run(*command, environment=lab.environment())
        output = done.stdout + done.stderr
        display.output(output)
        return output

    def traffic(self, *arguments: str) -> None:
        self.laptop.run(sys.executable, "-m", "holloway.cli.demo_traffic", *arguments)

    def program(self, host: Host, *arguments: str) -> subprocess.Popen[str]:
        """Start a program of `demo_traffic` and wait until it listens."""
        started = host.popen(sys.executable, "-m", "holloway.cli.demo_traffic", *arguments)
        assert started.stdout is not None
        if started.stdout.readline() != "ready\n":
            raise DemoError(f"{arguments[0]} did not start: {started.communicate()[1]}")
        return started


def finish(program: subprocess.Popen[str]) -> str:
    """Wait for a program and return what it printed."""
    # Not `communicate`: output that came with "ready" is already in the buffer of `stdout`.
    with program:
        assert program.stdout is not None
        assert program.stderr is not None
        output, errors = program.stdout.read(), program.stderr.read()
    if program.returncode:
        raise DemoError(errors)
    return output

"""`holloway demo` for any user: starts two programs that are each other's peers.

Explains each step. The peers are small Python programs, which are shown and then run. A link of the
demo's own between them inspects every packet. Programs, link and files are gone when the demo ends.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from holloway import lab
from holloway.cli import display
from holloway.cli.demo_link import UdpLink
from holloway.quick.interrupts import Interrupted, Interrupts

if TYPE_CHECKING:
    from collections.abc import Iterator

TOPOLOGY = """
    laptop.py                                       office.py
    UDP on 127.0.0.1  ----- the demo's link  ------- UDP on 127.0.0.1:{port}
    10.10.11.2        ======== the tunnel ======== 10.10.11.1, a web server on port 80
"""
SENTENCE = "Meet me where the holloway leaves the wood."
OFFICE_CONFIG = """\
[Interface]
PrivateKey = {private}
ListenPort = {port}
Address = 10.10.11.1/24

[Peer]
# laptop
PublicKey = {peer}
AllowedIPs = 10.10.11.2
"""
LAPTOP_CONFIG = """\
[Interface]
PrivateKey = {private}
Address = 10.10.11.2/24

[Peer]
# office
PublicKey = {peer}
Endpoint = 127.0.0.1:{port}
AllowedIPs = 10.10.11.0/24
"""
OFFICE_PROGRAM = f"""\
import asyncio, sys
import holloway

async def answer(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(b"HTTP/1.0 200 OK\\r\\n\\r\\n{SENTENCE}\\n")
    writer.close()

async def main():
    async with holloway.Network.from_config("office.conf") as net:
        await net.start_server(answer, port=80)
        print("http://10.10.11.1/ is served; TCP/IP is the", net.stack, "stack", flush=True)
        await asyncio.to_thread(sys.stdin.read)  # until the demo ends

asyncio.run(main())
"""
LAPTOP_PROGRAM = """\
import http.client
import holloway

with holloway.open("laptop.conf") as net:
    print(f"ping 10.10.11.1: {net.ping('10.10.11.1') * 1000:.2f} ms")
    browser = http.client.HTTPConnection("10.10.11.1")
    browser.sock = net.connect("10.10.11.1", 80)
    browser.request("GET", "/")
    print("the page:", browser.getresponse().read().decode(), end="")
    [office] = net.device.peers
    print(f"transfer: {office.rx_bytes} B received, {office.tx_bytes} B sent")
"""
FETCH: Final = "from urllib.request import *; print(urlopen('http://10.10.11.1/').read())"


def main() -> int:
    """Run the demo; returns the exit status."""
    interrupts = Interrupts()
    try:
        with interrupts.handled(then_ignored=True), contextlib.ExitStack() as stack:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="holloway-"))
            link = stack.enter_context(UdpLink(SENTENCE))
            Demo(Path(directory), link, interrupts).run()
    except Interrupted:
        print("\nInterrupted; the programs and their files are gone.")
        return 130
    except (OSError, subprocess.TimeoutExpired, DemoError) as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1
    return 0


class DemoError(Exception):
    """The demo did not see what it should have seen."""


class Demo:
    """The steps, in order. Each explains what it does before it does it."""

    def __init__(self, directory: Path, link: UdpLink, interrupts: Interrupts) -> None:
        self.directory = directory
        self.link = link
        self.interrupts = interrupts
        self.office_port = link.office_port
        self.step = 0

    def run(self) -> None:
        print(display.bold("Holloway: two programs, one WireGuard tunnel, no root"))
        print(TOPOLOGY.format(port=self.office_port))
        self.make_keys()
        with self.office():
            self.fetch()
            self.look_at_the_link()
            self.run_a_program()
        self.take_down()

    def make_keys(self) -> None:
        self.title(
            "Keys",
            "Each peer makes its own key pair, with this package's wg. The configurations "
            "are wg-quick files.",
        )
        keys = {}
        for name in ("laptop", "office"):
            shown = f"umask 077; wg genkey > {name}.key; wg pubkey < {name}.key"
            keys[name] = self.show_command(name, shown).strip()
        for name, config, peer, port in (
            ("laptop", LAPTOP_CONFIG, keys["office"], self.link.port),
            ("office", OFFICE_CONFIG, keys["laptop"], self.office_port),
        ):
            private = (self.directory / f"{name}.key").read_text().strip()
            text = config.format(private=private, peer=peer, port=port)
            (self.directory / f"{name}.conf").write_text(text)
            shown = config.format(private="(hidden)", peer=peer, port=port)
            display.file(name, f"{name}.conf", shown)

    @contextlib.contextmanager
    def office(self) -> Iterator[None]:
        self.title(
            "A peer that serves",
            "A Python program becomes a peer by opening a network. Its server is reached only "
            "through the tunnel.",
        )
        self.write("office", OFFICE_PROGRAM)
        display.prompt("office", "python3 office.py &")
        with self.started(sys.executable, "office.py", stdin=subprocess.PIPE) as office:
            assert office.stdout is not None
            with self.interrupts.interruptible():
                line = office.stdout.readline()
            display.output(line)
            if not line.startswith("http://"):
                raise DemoError(office.communicate("")[0])
            yield
            with self.interrupts.interruptible():
                office.communicate("", timeout=10)  # the end of its input

    def fetch(self) -> None:
        self.title(
            "A peer that asks",
            "The tunnel's sockets are ordinary sockets, so libraries that do not know WireGuard "
            "can use them.",
        )
        self.write("laptop", LAPTOP_PROGRAM)
        if SENTENCE not in self.show_command("laptop", "python3 laptop.py"):
            raise DemoError("the page did not come")

    def look_at_the_link(self) -> None:
        self.title(
            "What an eavesdropper sees",
            "All packets went over the demo's link, which looked for the page in them.",
        )
        print(f"  found in {self.link.hits} of {self.link.packets} packets")
        print(f"  end of the longest packet: {display.printable(self.link.sample)}")
        if self.link.hits or not self.link.packets:
            raise DemoError("the packets do not show an encrypted transfer")

    def run_a_program(self) -> None:
        self.title(
            "Any program",
            "`holloway run` runs an unchanged program with the tunnel as its only network.",
        )
        fetch = "curl -s http://10.10.11.1/" if shutil.which("curl") else f'python3 -c "{FETCH}"'
        shown = self.try_command("laptop", f"holloway run -q laptop.conf -- {fetch}")
        if any(missing in shown for missing in ("user namespaces", "TUN device")):
            print(
                "\n  Until then, programs can use the tunnel by `holloway proxy`, SOCKS5 or HTTP."
            )
        elif SENTENCE not in shown:
            raise DemoError("the page did not come")
        elif shutil.which("ip"):
            self.show_command("laptop", "holloway run -q laptop.conf -- ip -brief address")

    def take_down(self) -> None:
        self.title(
            "Down",
            "The office's program has ended, and the tunnel with it. The system never had an "
            "interface or an address of the tunnel.",
        )
        if "laptop" in self.show_command("machine", "ls /sys/class/net").split():
            raise DemoError("the system has an interface of the demo")
        print("\nNothing is left. Read on in docs/how-to/run.md. The demo for root shows more:")
        print("  sudo holloway demo")

    def title(self, name: str, text: str) -> None:
        self.step += 1
        display.heading(self.step, name, text)

    def write(self, name: str, program: str) -> None:
        """Write a program and show it."""
        (self.directory / f"{name}.py").write_text(program)
        display.listing(name, f"{name}.py", program)
        print()

    def show_command(self, name: str, shown: str) -> str:
        """Show a command, run it, show what it prints, and return that."""
        return self.try_command(name, shown, check=True)

    def try_command(self, name: str, shown: str, *, check: bool = False) -> str:
        display.prompt(name, shown)
        program = self.started("sh", "-c", shown, stdin=subprocess.DEVNULL)
        with program as started, self.interrupts.interruptible():
            output, _ = started.communicate(timeout=30)
        display.output(output)
        if check and started.returncode:
            raise DemoError(f"{shown}: exit status {started.returncode}")
        return output

    @contextlib.contextmanager
    def started(self, *command: str, stdin: int) -> Iterator[subprocess.Popen[str]]:
        """Start a program; at the end, kill it with everything that it has started."""
        with subprocess.Popen(
            command, cwd=self.directory, env=os.environ | lab.environment(), text=True,
            stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C interrupts the demo, which then kills this
        ) as program:  # fmt: skip
            try:
                yield program
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(program.pid, signal.SIGKILL)

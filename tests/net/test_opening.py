"""Opening a network whose endpoint's name server does not answer: limits, and interrupts."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from net.pair import new_key

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """[Interface]
PrivateKey = {key}
Address = 10.7.0.1/24
[Peer]
PublicKey = {peer}
AllowedIPs = 10.7.0.2/32
Endpoint = vpn.example.org:51820
"""

RESOLVERS = {
    "silent": "nameserver 127.0.0.1\noptions timeout:30 attempts:5\n",
    "unreachable": "nameserver 192.0.2.1\n",
}
"""The C library waits minutes for the one; the other fails, and is asked again for 72 seconds."""

SETUP = """
import asyncio, atexit, holloway, socket, sys, threading
silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
silent.bind(("127.0.0.1", 53))
atexit.register(silent.close)
config = sys.stdin.read()

def announce():
    silent.recv(1000)
    print("Trying", file=sys.stderr, flush=True)

threading.Thread(target=announce, daemon=True).start()
"""

OPEN = {
    "blocking": "holloway.open(config, stack='userspace', timeout={timeout})",
    "asyncio": "asyncio.run(holloway.Network(config, timeout={timeout}).open())",
}


@pytest.fixture(params=RESOLVERS)
def isolated(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """Return a command that starts another where there is such a name server alone."""
    path = tmp_path / "resolv.conf"
    path.write_text(RESOLVERS[request.param])
    script = f'ip link set lo up && mount --bind {path} /etc/resolv.conf && exec "$@"'
    return ["unshare", "--user", "--map-root-user", "--net", "--mount", "sh", "-c", script, "sh"]


def start(isolated: list[str], script: str) -> subprocess.Popen[str]:
    program = subprocess.Popen(
        [*isolated, sys.executable, "-W", "error", "-c", SETUP + script],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert program.stdin is not None
    program.stdin.write(CONFIG.format(key=new_key().base64, peer=new_key().public().base64))
    program.stdin.close()
    program.stdin = None
    return program


def interrupt(program: subprocess.Popen[str]) -> None:
    """Interrupt a program once it looks a name up; it ends."""
    assert program.stderr is not None
    assert "Trying" in program.stderr.readline()
    program.send_signal(signal.SIGINT)
    try:
        _, errors = program.communicate(timeout=20)
    finally:
        program.kill()
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    assert program.returncode == -signal.SIGINT


@pytest.mark.parametrize("kind", OPEN)
def test_an_interrupt_while_a_name_is_looked_up_ends_the_program(
    isolated: list[str], kind: str
) -> None:
    with start(isolated, OPEN[kind].format(timeout=None)) as program:
        interrupt(program)


@pytest.mark.parametrize("isolated", ["silent"], indirect=True)
def test_an_interrupt_while_a_network_looks_a_name_up_ends_the_program(isolated: list[str]) -> None:
    script = """
config = config.replace("vpn.example.org", "192.0.2.1")
with holloway.open(config, stack="userspace") as net:
    net.connect("nas.example.org", 80)
"""
    with start(isolated, script) as program:
        interrupt(program)


@pytest.mark.parametrize("kind", OPEN)
def test_opening_ends_with_its_timeout(isolated: list[str], kind: str) -> None:
    script = f"""
try:
    {OPEN[kind].format(timeout=0.3)}
except TimeoutError as error:
    print(error.strerror)
"""
    with start(isolated, script) as program:
        try:
            printed, errors = program.communicate(timeout=20)
        finally:
            program.kill()
    assert printed == (
        "the network holloway did not open within 0.3 seconds: "
        "looking up the endpoints of its peers\n"
    )
    assert "Traceback" not in errors
    assert program.returncode == 0

"""`wg show --json`, `--names` and `--watch`, which the original lacks."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import termios
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from holloway.lab import Host
from scripted_device import ScriptedDevice
from wg_pair import FULL, ORIGINAL, OURS, PA, PB, PC, Pair

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

NAMED = f"""[Interface]
# Alice
[Peer]
PublicKey = {PA}
[Peer] # Bob
PublicKey = {PB}
"""
AGES = re.compile(rb"(\d+ \w+,? )+ago")
LEAVES_SCREEN = b"\x1b[?7h\x1b[?25h\x1b[?1049l"


@pytest.fixture
def pair() -> Iterator[Pair]:
    with Host("wg") as host:
        host.write("/etc/wireguard/hw0.conf", NAMED)
        path = Path(f"/proc/{host.pid}/root/run/wireguard/hw0.sock")
        with ScriptedDevice(path, FULL) as device:
            yield Pair(host, device)


@pytest.mark.parametrize("arguments", [["--json"], ["hw0", "--json"], ["--json", "all"]])
def test_json_says_what_dump_says(pair: Pair, arguments: list[str]) -> None:
    found = json.loads(pair.run(OURS, "show", *arguments).output)["hw0"]
    dump = pair.run(ORIGINAL, "show", "hw0", "dump").output.decode().splitlines()
    private, public, port, mark = dump[0].split("\t")
    assert (found["privateKey"], found["publicKey"]) == (private, public)
    assert (found["listenPort"], hex(found["fwmark"])) == (int(port), mark)
    rows = [
        "\t".join(
            str(value)
            for value in (
                key, peer.get("presharedKey", "(none)"), peer.get("endpoint", "(none)"),
                ",".join(peer["allowedIps"]) or "(none)", peer.get("latestHandshake", 0),
                peer.get("transferRx", 0), peer.get("transferTx", 0),
                peer.get("persistentKeepalive", "off"),
            )
        )
        for key, peer in found["peers"].items()
    ]  # fmt: skip
    assert rows == dump[1:]


def test_a_device_that_does_not_answer_is_told_of_and_left_out(pair: Pair) -> None:
    with ScriptedDevice(pair.path("hw1"), "errno=13\n\n"):
        outcome = pair.run(OURS, "show", "--json")
    assert list(json.loads(outcome.output)) == ["hw0"]
    assert outcome.errors == b"Unable to access interface hw1: Permission denied\n"
    assert outcome.status == 0


def test_names_stand_beside_their_keys(pair: Pair) -> None:
    lines = pair.run(OURS, "show", "--names", "hw0").output.decode().splitlines()
    assert f"peer: {PA} (Alice)" in lines
    assert f"peer: {PB} (Bob)" in lines
    assert f"peer: {PC}" in lines
    found = json.loads(pair.run(OURS, "show", "--names", "--json").output)
    names = {key: peer.get("name") for key, peer in found["hw0"]["peers"].items()}
    assert names == {PA: "Alice", PB: "Bob", PC: None}


def test_without_a_file_there_are_no_names(pair: Pair) -> None:
    pair.host.run("rm", "/etc/wireguard/hw0.conf")
    outcomes = [pair.run(OURS, "show", "hw0", *options) for options in (["--names"], [])]
    named, plain = (
        replace(outcome, output=AGES.sub(b"ago", outcome.output)) for outcome in outcomes
    )
    assert b"ago" in plain.output
    assert named == plain


@pytest.mark.parametrize(
    "arguments",
    [["--json", "hw0", "dump"], ["hw0", "peers", "--names"], ["--json", "--watch"], ["--watch"],
     ["interfaces", "--json"], ["hw0", "--bogus"]],
)  # fmt: skip
def test_what_cannot_be_had_is_refused(pair: Pair, arguments: list[str]) -> None:
    outcome = pair.run(OURS, "show", *arguments)
    assert outcome.status == 1
    assert outcome.output == b""
    assert outcome.errors


def test_help_names_our_options_where_a_person_asks(pair: Pair) -> None:
    theirs = pair.equal("show", "--help").errors
    ours = pair.run(OURS, "show", "--json", "--help")
    assert ours.status == 0
    assert ours.errors.startswith(theirs)
    for option in (b"--json", b"--names", b"--watch", b"Examples:"):
        assert option in ours.errors


class Watched:
    """`wg show --watch` on a terminal of its own."""

    def __init__(self, pair: Pair) -> None:
        self.terminal, end = pty.openpty()
        self.settings = termios.tcgetattr(end)
        argv = pair.host.argv(*OURS, "show", "--watch", "hw0")
        # Ctrl-C goes to the foreground of the terminal that a session controls.
        self.child = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *argv], stdin=end, stdout=end, stderr=end
        )
        self.end = end
        self.shown = b""

    def until(self, wanted: bytes, count: int = 1) -> None:
        while self.shown.count(wanted) < count:
            ready, _, _ = select.select([self.terminal], [], [], 20)
            assert ready, self.shown
            self.shown += os.read(self.terminal, 65536)

    def close(self) -> int:
        try:
            self.until(LEAVES_SCREEN)
            return self.child.wait(10)
        finally:
            self.child.kill()
            self.child.wait()
            os.close(self.end)
            os.close(self.terminal)


@pytest.mark.parametrize("key", [b"q", b"\x03"])
def test_watching_goes_on_until_a_key_ends_it(pair: Pair, key: bytes) -> None:
    watched = Watched(pair)
    watched.until(PA.encode())
    pair.device.answer = "listen_port=7\nerrno=0\n\n"
    watched.until(b"7\x1b[0m")
    os.write(watched.terminal, b"x")  # any other key does nothing
    pair.device.answer = "errno=13\n\n"
    watched.until(b"Unable to access interface: Permission denied")
    os.write(watched.terminal, key)
    watched.until(LEAVES_SCREEN)
    assert termios.tcgetattr(watched.end) == watched.settings
    status = watched.close()
    # Ctrl-C also ends nsenter, which `wg` runs under here and whose status this is.
    assert status == (0 if key == b"q" else -signal.SIGINT)


@pytest.mark.parametrize("signals", [["TERM"], ["HUP"], ["INT", "HUP"]])
def test_watching_leaves_the_terminal_as_it_was_when_it_is_terminated(
    pair: Pair, signals: list[str]
) -> None:
    watched = Watched(pair)
    watched.until(PA.encode())
    (process,) = pair.host.run("pgrep", "-f", "show --watch hw0").stdout.split()
    # It may be gone before the second signal.
    pair.host.run("sh", "-c", f"for name; do kill -$name {process}; done; true", "sh", *signals)
    watched.until(LEAVES_SCREEN)
    assert termios.tcgetattr(watched.end) == watched.settings
    watched.close()
